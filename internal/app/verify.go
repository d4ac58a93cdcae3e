package app

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"overstay/detector"
)

// verify finds what the types of the fields could not refuse.
func (c *Config) verify() error {
	if c.State == "" {
		return invalid("state", "a folder is needed")
	}
	if c.Log.Path == "" || c.List.Path == "" {
		return invalid("log.path, list.path", "a file is needed")
	}
	if c.Log.MaxBytes < 64<<10 {
		return invalid("log.max_bytes", "%d is too small: at least 65536", c.Log.MaxBytes)
	}
	if c.Log.Keep < 1 {
		return invalid("log.keep", "%d is too few: the detector reads rotated files at a start", c.Log.Keep)
	}
	if c.Log.MaxAge <= 0 {
		return invalid("log.max_age", "no time is no age")
	}
	if err := c.Detector.verify(); err != nil {
		return err
	}
	if err := verifyEach("policy", c.Policies, Policy.verify, func(p Policy) string { return p.Name }); err != nil {
		return err
	}
	if _, err := detector.New(c.detectorOptions()); err != nil {
		return &ConfigError{Key: "policy", Err: err}
	}
	if err := c.Scan.verify(); err != nil {
		return err
	}
	if c.Mail.Users == "" || c.Mail.Folder == "" {
		return invalid("mail.users, mail.folder", "both are needed")
	}
	if c.Mail.QuotaBytes < 0 || c.Mail.QuotaMessages < 0 {
		return invalid("mail.quota_bytes, mail.quota_messages", "a quota is not negative")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return invalid("tls", "cert and key go together")
	}
	if err := verifyEach("service", c.Services, Service.verify, func(s Service) string { return s.Name }); err != nil {
		return err
	}
	return c.verifyPools()
}

func (d Detector) verify() error {
	if d.Action != "policy" && d.Action != "suggest" {
		return invalid("detector.action", "%q is neither policy nor suggest", d.Action)
	}
	if d.MaxSources < 1 || d.MaxSources > 100_000_000 {
		return invalid("detector.max_sources", "%d is not between 1 and 100000000", d.MaxSources)
	}
	if d.BansPerMinute < 1 {
		return invalid("detector.bans_per_minute", "%d is not a number of bans", d.BansPerMinute)
	}
	if d.NetV4 < 16 || d.NetV4 > 31 {
		return invalid("detector.net_v4", "%d is not between 16 and 31", d.NetV4)
	}
	if d.NetV6 < 32 || d.NetV6 > 63 {
		return invalid("detector.net_v6", "%d is not between 32 and 63", d.NetV6)
	}
	if d.MaxNets < 1 || d.MaxNets > 10_000_000 {
		return invalid("detector.max_nets", "%d is not between 1 and 10000000", d.MaxNets)
	}
	return nil
}

func (p Policy) verify() error {
	switch {
	case p.When.Text == "":
		return errors.New("when: a condition is needed")
	case p.Level != detector.LevelAddress && p.Level != detector.LevelNet:
		return fmt.Errorf("level: %q is neither %s nor %s", p.Level, detector.LevelAddress, detector.LevelNet)
	case p.ProvenNets && p.Level != detector.LevelNet:
		return errors.New("proven_nets: is for policies of the level net")
	case p.Action != "off" && p.Action != string(detector.Suggest) && p.Action != string(detector.Ban):
		return fmt.Errorf("action: %q is none of ban, suggest, off", p.Action)
	case p.Factor < 1 || p.Factor > 1000:
		return fmt.Errorf("factor: %v is not between 1 and 1000", p.Factor)
	case p.Max != 0 && p.Max < p.Duration:
		return errors.New("max: is shorter than duration")
	}
	return nil
}

func (s Scan) verify() error {
	switch {
	case s.Scanners < 1 || s.Scanners > 10_000:
		return invalid("scan.scanners", "%d is not between 1 and 10000", s.Scanners)
	case s.Queue < 0:
		return invalid("scan.queue", "%d is negative", s.Queue)
	case s.Wait <= 0 || s.Timeout <= 0:
		return invalid("scan.wait, scan.timeout", "no time is no limit")
	case s.MaxBytes < 0:
		return invalid("scan.max_bytes", "%d is negative", s.MaxBytes)
	case s.OnFailure != "refuse" && s.OnFailure != "pass":
		return invalid("scan.on_failure", "%q is neither refuse nor pass", s.OnFailure)
	case s.Oversize != "refuse" && s.Oversize != "pass":
		return invalid("scan.oversize", "%q is neither refuse nor pass", s.Oversize)
	}
	return nil
}

// verifyEach says which entry of a list is wrong, by its name or its number.
func verifyEach[T any](list string, entries []T, verify func(T) error, name func(T) string) error {
	seen := map[string]bool{}
	for i, entry := range entries {
		key := fmt.Sprintf("%s %q", list, name(entry))
		if name(entry) == "" {
			return invalid(fmt.Sprintf("%s number %d", list, i+1), "name: one is needed")
		}
		if seen[key] {
			return invalid(key, "there are two of this name")
		}
		seen[key] = true
		if err := verify(entry); err != nil {
			return &ConfigError{Key: key, Err: err}
		}
	}
	return nil
}

// verifyPools refuses two sizes for one pool.
func (c *Config) verifyPools() error {
	threads := map[string]int{}
	for _, s := range c.Services {
		pool := cmp.Or(s.Pool, s.Name)
		if n, ok := threads[pool]; ok && n != s.Threads {
			return invalid(fmt.Sprintf("service %q", s.Name), "threads: pool %q has %d with one service and %d with another", pool, n, s.Threads)
		}
		threads[pool] = s.Threads
	}
	return nil
}

// VerifyPolicies refuses a policy for a pool that there is not, which would
// never match, or for the bans of a service that there is not. A file of
// nothing but policies may be meant for the log of another server, so with the
// default services it is only asked for.
func (c *Config) VerifyPolicies() error {
	for _, p := range c.Policies {
		for _, pool := range p.Pools {
			if !slices.ContainsFunc(c.Services, func(s Service) bool { return cmp.Or(s.Pool, s.Name) == pool }) {
				return invalid(fmt.Sprintf("policy %q", p.Name), "pools: no service has the pool %q", pool)
			}
		}
		for _, name := range p.Services {
			if !slices.ContainsFunc(c.Services, func(s Service) bool { return s.Name == name }) {
				return invalid(fmt.Sprintf("policy %q", p.Name), "services: there is no service %q", name)
			}
		}
	}
	return nil
}

func invalid(key, format string, args ...any) error {
	return &ConfigError{Key: key, Err: fmt.Errorf(format, args...)}
}
