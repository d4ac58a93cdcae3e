package app

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
)

// DefaultPolicies returns the built-in policies as a file would write them.
func DefaultPolicies() []Policy {
	var all []Policy
	for _, p := range detector.DefaultPolicies() {
		all = append(all, Policy{
			Name:     p.Name,
			When:     Condition{p.When},
			Level:    cmp.Or(p.Level, detector.LevelAddress),
			For:      Duration(p.For),
			Action:   string(p.Action),
			Duration: Duration(p.Duration),
			Factor:   p.Escalate.Factor,
			Max:      Duration(p.Escalate.Max),
			Memory:   Duration(p.Escalate.Memory),
			Averts:   p.Averts,
			Pools:    p.Pools,
			Services: p.Services,

			ProvenNets: p.ProvenNets,
		})
	}
	return all
}

// ActivePolicies returns the policies in force: the built-in ones, each
// replaced by the file's of the same name, then the file's others; those that
// are off are left out.
func (c *Config) ActivePolicies() []Policy {
	var all []Policy
	if c.Detector.DefaultPolicies {
		all = DefaultPolicies()
	}
	for _, p := range c.Policies {
		replaced := false
		for i := range all {
			if all[i].Name == p.Name {
				all[i], replaced = p, true
			}
		}
		if !replaced {
			all = append(all, p)
		}
	}
	active := all[:0]
	for _, p := range all {
		if p.Action == "off" {
			continue
		}
		if c.Detector.Action == "suggest" {
			p.Action = string(detector.Suggest)
		}
		active = append(active, p)
	}
	return active
}

// newDetector returns a detector with the policies in force and the bans that
// the list remembers.
func (c *Config) newDetector(ctx context.Context, list *banlist.List) (*detector.Detector, error) {
	earlier, err := earlierBans(ctx, list)
	if err != nil {
		return nil, err
	}
	o := c.detectorOptions()
	o.Earlier = earlier
	return detector.New(o)
}

// detectorOptions returns the options of a detector that remembers nothing.
func (c *Config) detectorOptions() detector.Options {
	o := detector.Options{
		MaxSources: c.Detector.MaxSources, BansPerMinute: c.Detector.BansPerMinute,
		NetLevel: connlog.Level{V4: c.Detector.NetV4, V6: c.Detector.NetV6}, MaxNets: c.Detector.MaxNets,
	}
	for _, p := range c.ActivePolicies() {
		o.Policies = append(o.Policies, detector.Policy{
			Name:     p.Name,
			When:     p.When.Text,
			Level:    p.Level,
			For:      time.Duration(p.For),
			Action:   detector.Action(p.Action),
			Duration: time.Duration(p.Duration),
			Escalate: detector.Escalate{Factor: p.Factor, Max: time.Duration(p.Max), Memory: time.Duration(p.Memory)},
			Averts:   p.Averts,
			Pools:    p.Pools,
			Services: p.Services,

			ProvenNets: p.ProvenNets,
		})
	}
	return o
}

// earlierBans returns what the list remembers of the policies' bans, for
// escalation. A suggestion that nobody approved is none.
func earlierBans(ctx context.Context, list *banlist.List) ([]detector.Past, error) {
	bans, err := list.Bans(ctx, banlist.Filter{
		States: []banlist.State{banlist.Active, banlist.Expired, banlist.Lifted},
		Origin: banlist.OriginPolicy,
		Banned: true,
		Brief:  true,
	})
	if err != nil {
		return nil, err
	}
	past := make([]detector.Past, 0, len(bans))
	whole := map[string]int{} // where in past the decision is that the pieces are of
	for i := range bans {
		p := asPast(&bans[i])
		id, isPiece := wholeID(p.ID)
		if !isPiece {
			past = append(past, p)
			continue
		}
		at, known := whole[id]
		if !known {
			whole[id], p.ID = len(past), id
			past = append(past, p)
			continue
		}
		past[at].Source = around(past[at].Source, p.Source)
		past[at].Forgiven = past[at].Forgiven && p.Forgiven
	}
	return past, nil
}

// asPast writes an entry of the list as what the detector remembers. It began
// so long before its end as it lasts: the list may have learned of it later.
// One that a person lifted was a mistake, or is forgiven.
func asPast(b *banlist.Ban) detector.Past {
	p := detector.Past{ID: b.ID, Source: b.Prefix, At: b.Created, Until: b.Expires, Services: b.Services}
	if !b.Expires.IsZero() && b.Duration > 0 {
		p.At = b.Expires.Add(-b.Duration)
	}
	if b.State == banlist.Lifted {
		p.Forgiven, p.Until = true, b.Decided
	}
	return p
}

// around is the narrowest prefix that holds both.
func around(p, q netip.Prefix) netip.Prefix {
	bits := min(p.Bits(), q.Bits())
	for netip.PrefixFrom(p.Addr(), bits).Masked() != netip.PrefixFrom(q.Addr(), bits).Masked() {
		bits--
	}
	return netip.PrefixFrom(p.Addr(), bits).Masked()
}
