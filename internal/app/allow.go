package app

import (
	"context"
	"fmt"
	"net/netip"

	"overstay/banlist"
)

// byConfig marks the entries of the allow list that the configuration made,
// and alone may take back.
const byConfig = "configuration"

// allow puts what the configuration names on the allow list, without an end.
func (c *Config) allow(ctx context.Context, list *banlist.List) error {
	forGood, err := allowedForGood(ctx, list)
	if err != nil {
		return err
	}
	for _, source := range c.List.Allow {
		p := netip.Prefix(source)
		if _, ok := forGood[p]; ok {
			continue
		}
		if _, err := list.Allow(ctx, banlist.Allowance{Prefix: p, By: byConfig}); err != nil {
			return fmt.Errorf("list.allow: %w", err)
		}
	}
	return nil
}

// disallow takes off the allow list what an earlier configuration put there
// and this one no longer names. Only the server does that: a detector beside
// it may run with another file, or with none.
func (c *Config) disallow(ctx context.Context, list *banlist.List) error {
	forGood, err := allowedForGood(ctx, list)
	if err != nil {
		return err
	}
	for _, source := range c.List.Allow {
		delete(forGood, netip.Prefix(source))
	}
	for p, by := range forGood {
		if by != byConfig {
			continue
		}
		if err := list.Disallow(ctx, p, banlist.Act{By: byConfig, Reason: "no longer in the file"}); err != nil {
			return err
		}
	}
	return nil
}

// allowedForGood returns who put what on the allow list without an end.
func allowedForGood(ctx context.Context, list *banlist.List) (map[netip.Prefix]string, error) {
	all, err := list.Allowed(ctx)
	if err != nil {
		return nil, err
	}
	forGood := map[netip.Prefix]string{}
	for _, a := range all {
		if a.Expires.IsZero() {
			forGood[a.Prefix] = a.By
		}
	}
	return forGood, nil
}
