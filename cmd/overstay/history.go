package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// historyOptions are the flags of the command history.
type historyOptions struct{ most int }

func (o *historyOptions) AddFlags(f *pflag.FlagSet) {
	f.IntVar(&o.most, "most", 100, "the newest so many steps")
}

func newHistory(g *global) *cobra.Command {
	o := &historyOptions{}
	c := &cobra.Command{
		Use:     "history [ADDRESS|PREFIX|ID]",
		Short:   "Show what was decided, when, by whom and why",
		GroupID: "look",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			if o.most < 1 {
				return usage(c, "--most %d is no number of steps", o.most)
			}
			f := banlist.HistoryFilter{Limit: o.most}
			if len(what) == 1 {
				if p, err := banlist.ParsePrefix(what[0]); err == nil {
					f.Prefix = p
				} else {
					f.ID = what[0]
				}
			}
			return runHistory(c.Context(), g, f)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func runHistory(ctx context.Context, g *global, f banlist.HistoryFilter) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		steps, err := list.History(ctx, f)
		if err != nil {
			return err
		}
		return g.ui.history(steps)
	})
}
