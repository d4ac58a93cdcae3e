package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
	"overstay/internal/app"
)

// banOptions are the flags of the command ban.
type banOptions struct {
	length   length
	reason   string
	services []string
	force    bool
}

func (o *banOptions) AddFlags(f *pflag.FlagSet) {
	addLengthFlag(f, &o.length, "how long, as 90s, 1h30m or 7d (default: until unban)")
	f.StringVar(&o.reason, "reason", "", "why, for the history")
	f.StringSliceVar(&o.services, "service", nil, "only this service (can be repeated; default: all)")
	f.BoolVar(&o.force, "force", false, "ban even what is wider than /8 (IPv6: /16), or from where an operator is logged in")
}

// verify reads the sources into bans.
func (o *banOptions) verify(c *cobra.Command, sources []string) ([]banlist.Ban, error) {
	bans := make([]banlist.Ban, 0, len(sources))
	for _, s := range sources {
		p, err := parseSource(s)
		if err != nil {
			return nil, usage(c, "%w", err)
		}
		bans = append(bans, banlist.Ban{
			Prefix: p, Services: o.services, Reason: o.reason, Origin: operator(), Duration: time.Duration(o.length),
		})
	}
	return bans, nil
}

// spareOperators refuses, unless forced, what would ban people who are logged
// in here: nobody means to lock himself out.
func spareOperators(bans []banlist.Ban, force bool) error {
	if force {
		return nil
	}
	prefixes := make([]netip.Prefix, 0, len(bans))
	for i := range bans {
		prefixes = append(prefixes, bans[i].Prefix)
	}
	err := app.CheckOperators(prefixes...)
	var operators *app.OperatorError
	if err != nil && !errors.As(err, &operators) {
		err = fmt.Errorf("%w: %w", errOperatorsUnknown, err)
	}
	return err
}

var errOperatorsUnknown = errors.New("it is not known who is logged in")

func newBan(g *global) *cobra.Command {
	o := &banOptions{}
	c := &cobra.Command{
		Use:     "ban ADDRESS|PREFIX...",
		Short:   "Ban addresses, and end their sessions",
		Long:    banHelp,
		GroupID: "decide",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, sources []string) error {
			bans, err := o.verify(c, sources)
			if err != nil {
				return err
			}
			return o.run(c.Context(), g, bans)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *banOptions) run(ctx context.Context, g *global, bans []banlist.Ban) error {
	if err := spareOperators(bans, o.force); err != nil {
		return err
	}
	return g.withList(ctx, true, func(list *banlist.List) error {
		added := make([]banlist.Ban, 0, len(bans))
		for _, b := range bans {
			b, err := list.Add(ctx, b, banlist.AddOptions{Force: o.force})
			if err != nil {
				return g.ui.changed("banned", added, err)
			}
			added = append(added, b)
		}
		return g.ui.changed("banned", added, nil)
	})
}
