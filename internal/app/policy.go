package app

import (
	"context"
	"time"

	"overstay/banlist"
	"overstay/detector"
)

// DefaultPolicies returns the built-in policies as a file would write them.
func DefaultPolicies() []Policy {
	var all []Policy
	for _, p := range detector.DefaultPolicies() {
		all = append(all, Policy{
			Name:     p.Name,
			When:     Condition{p.When},
			For:      Duration(p.For),
			Action:   string(p.Action),
			Duration: Duration(p.Duration),
			Factor:   p.Escalate.Factor,
			Max:      Duration(p.Escalate.Max),
			Memory:   Duration(p.Escalate.Memory),
			Pools:    p.Pools,
			Services: p.Services,
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
	o := detector.Options{MaxSources: c.Detector.MaxSources, BansPerMinute: c.Detector.BansPerMinute}
	for _, p := range c.ActivePolicies() {
		o.Policies = append(o.Policies, detector.Policy{
			Name:     p.Name,
			When:     p.When.Text,
			For:      time.Duration(p.For),
			Action:   detector.Action(p.Action),
			Duration: time.Duration(p.Duration),
			Escalate: detector.Escalate{Factor: p.Factor, Max: time.Duration(p.Max), Memory: time.Duration(p.Memory)},
			Pools:    p.Pools,
			Services: p.Services,
		})
	}
	return o
}

// earlierBans returns what the list remembers of the policies' bans, for
// escalation.
func earlierBans(ctx context.Context, list *banlist.List) ([]detector.Past, error) {
	bans, err := list.Bans(ctx, banlist.Filter{
		States: []banlist.State{banlist.Active, banlist.Lifted, banlist.Expired},
		Origin: banlist.OriginPolicy,
		Brief:  true,
	})
	if err != nil {
		return nil, err
	}
	past := make([]detector.Past, 0, len(bans))
	for i := range bans {
		b := &bans[i]
		p := detector.Past{ID: b.ID, Source: b.Prefix, At: b.Created}
		if b.State == banlist.Active {
			p.Until = b.Expires
		}
		past = append(past, p)
	}
	return past, nil
}
