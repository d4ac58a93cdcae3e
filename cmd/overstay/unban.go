package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// actOptions are the flags of commands that say why something is done.
type actOptions struct{ reason string }

func (o *actOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.reason, "reason", "", "why, for the history")
}

func (o *actOptions) act() banlist.Act {
	return banlist.Act{By: operator(), Reason: o.reason}
}

func newUnban(g *global) *cobra.Command {
	o := &actOptions{}
	c := &cobra.Command{
		Use:     "unban ADDRESS|PREFIX|ID...",
		Short:   "End bans before their time",
		Long:    unbanHelp,
		GroupID: "decide",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			return runUnban(c.Context(), g, o, what)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func runUnban(ctx context.Context, g *global, o *actOptions, what []string) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		var lifted []banlist.Ban
		for _, w := range what {
			bans, err := lift(ctx, list, w, o.act())
			lifted = append(lifted, bans...)
			if err != nil {
				return errors.Join(g.ui.changed("lifted", lifted, err), warnBanned(ctx, g, list, lifted))
			}
		}
		return errors.Join(g.ui.changed("lifted", lifted, nil), warnBanned(ctx, g, list, lifted))
	})
}

// lift ends the bans of an id, a prefix or an address. An IPv6 address that is
// not banned itself stands for its source, as it does in ban.
func lift(ctx context.Context, list *banlist.List, what string, act banlist.Act) ([]banlist.Ban, error) {
	lifted, err := list.Lift(ctx, what, act)
	if source, bad := parseSource(what); bad == nil && errors.Is(err, banlist.ErrNotFound) {
		if bans, again := list.Lift(ctx, source.String(), act); !errors.Is(again, banlist.ErrNotFound) {
			return bans, again
		}
	}
	return lifted, err
}

// warnBanned says which hosts of the lifted bans are banned all the same, as
// part of a net or for other services.
func warnBanned(ctx context.Context, g *global, list *banlist.List, lifted []banlist.Ban) error {
	for _, b := range lifted {
		still, err := list.Bans(ctx, banlist.Filter{
			States: []banlist.State{banlist.Active}, Covering: b.Prefix, Brief: true,
		})
		if err != nil {
			return err
		}
		if len(still) > 0 {
			g.ui.stillBanned(b.Prefix, &still[0])
		}
	}
	return nil
}
