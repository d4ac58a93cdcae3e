package main

import (
	"context"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
	"overstay/internal/app"
)

// allowOptions are the flags of the command allow.
type allowOptions struct {
	note   string
	length string
	remove bool

	duration time.Duration
}

func (o *allowOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.note, "note", "", "what is there, for the next reader")
	f.StringVar(&o.length, "for", "", "how long, as 90s, 1h30m or 7d (default: until removed)")
	f.BoolVar(&o.remove, "remove", false, "take off the allow list")
}

func (o *allowOptions) verify(c *cobra.Command, sources []string) (err error) {
	if o.remove && len(sources) == 0 {
		return usage(c, "--remove what?")
	}
	if o.length != "" {
		if o.duration, err = app.ParseDuration(o.length); err != nil {
			return usage(c, "--for: %w", err)
		}
	}
	return nil
}

func newAllow(g *global) *cobra.Command {
	o := &allowOptions{}
	c := &cobra.Command{
		Use:     "allow [ADDRESS|PREFIX...]",
		Short:   "Never ban these; without arguments, list them",
		Long:    allowHelp,
		GroupID: "decide",
		RunE: func(c *cobra.Command, sources []string) error {
			if err := o.verify(c, sources); err != nil {
				return err
			}
			return o.run(c.Context(), g, c, sources)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *allowOptions) run(ctx context.Context, g *global, c *cobra.Command, sources []string) error {
	prefixes := make([]netip.Prefix, 0, len(sources))
	for _, s := range sources {
		p, err := banlist.ParsePrefix(s)
		if err != nil {
			return usage(c, "%w", err)
		}
		prefixes = append(prefixes, p)
	}
	return g.withList(ctx, len(sources) > 0 && !o.remove, func(list *banlist.List) error {
		if len(prefixes) == 0 {
			allowed, err := list.Allowed(ctx)
			if err != nil {
				return err
			}
			return g.ui.allowances(allowed)
		}
		var lifted []banlist.Ban
		for _, p := range prefixes {
			if o.remove {
				if err := list.Disallow(ctx, p, banlist.Act{By: operator(), Reason: o.note}); err != nil {
					return err
				}
				continue
			}
			a := banlist.Allowance{Prefix: p, Note: o.note, By: operator()}
			if o.duration > 0 {
				a.Expires = time.Now().Add(o.duration)
			}
			bans, err := list.Allow(ctx, a)
			if err != nil {
				return err
			}
			lifted = append(lifted, bans...)
		}
		return g.ui.allowed(prefixes, o.remove, lifted)
	})
}
