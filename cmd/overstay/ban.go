package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
	"overstay/internal/app"
)

// banOptions are the flags of the command ban.
type banOptions struct {
	length   string
	reason   string
	services []string
	force    bool

	duration time.Duration
}

func (o *banOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.length, "for", "", "how long, as 90s, 1h30m or 7d (default: until unban)")
	f.StringVar(&o.reason, "reason", "", "why, for the history")
	f.StringSliceVar(&o.services, "service", nil, "only this service (can be repeated; default: all)")
	f.BoolVar(&o.force, "force", false, "ban even what is wider than /8 (IPv6: /16)")
}

func (o *banOptions) verify(c *cobra.Command) error {
	if o.length == "" {
		return nil
	}
	var err error
	if o.duration, err = app.ParseDuration(o.length); err == nil && o.duration == 0 {
		return usage(c, "--for 0 is no time")
	}
	if err != nil {
		return usage(c, "--for: %w", err)
	}
	return nil
}

func newBan(g *global) *cobra.Command {
	o := &banOptions{}
	c := &cobra.Command{
		Use:     "ban ADDRESS|PREFIX...",
		Short:   "Ban addresses, and end their sessions",
		Long:    banHelp,
		GroupID: "decide",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, sources []string) error {
			if err := o.verify(c); err != nil {
				return err
			}
			return o.run(c.Context(), g, c, sources)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *banOptions) run(ctx context.Context, g *global, c *cobra.Command, sources []string) error {
	bans := make([]banlist.Ban, 0, len(sources))
	for _, s := range sources {
		p, err := banlist.ParsePrefix(s)
		if err != nil {
			return usage(c, "%w", err)
		}
		bans = append(bans, banlist.Ban{
			Prefix: p, Services: o.services, Reason: o.reason, Origin: operator(), Duration: o.duration,
		})
	}
	return g.withList(ctx, true, func(list *banlist.List) error {
		added := make([]banlist.Ban, 0, len(bans))
		for _, b := range bans {
			b, err := list.Add(ctx, b, banlist.AddOptions{Force: o.force})
			if err != nil {
				return err
			}
			added = append(added, b)
		}
		return g.ui.changed("banned", added)
	})
}
