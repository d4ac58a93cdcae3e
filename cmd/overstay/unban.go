package main

import (
	"context"

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
			bans, err := list.Lift(ctx, w, o.act())
			if err != nil {
				return err
			}
			lifted = append(lifted, bans...)
		}
		return g.ui.changed("lifted", lifted)
	})
}
