package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// bansOptions are the flags of the command bans.
type bansOptions struct {
	all    bool
	states []string
	most   int
}

func (o *bansOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.all, "all", false, "entries of every state")
	f.StringSliceVar(&o.states, "only", nil, "entries of these states: suggested, active, rejected, lifted, expired")
	f.IntVar(&o.most, "most", 0, "at most so many (0: all)")
}

var allStates = []banlist.State{banlist.Suggested, banlist.Active, banlist.Rejected, banlist.Lifted, banlist.Expired}

func (o *bansOptions) verify(c *cobra.Command) ([]banlist.State, error) {
	if o.all {
		return allStates, nil
	}
	states := []banlist.State{banlist.Active}
	if len(o.states) > 0 {
		states = nil
	}
	for _, s := range o.states {
		if !slices.Contains(allStates, banlist.State(s)) {
			return nil, usage(c, "there is no state %q", s)
		}
		states = append(states, banlist.State(s))
	}
	return states, nil
}

func newBans(g *global) *cobra.Command {
	o := &bansOptions{}
	c := &cobra.Command{
		Use:     "bans",
		Short:   "List the bans in force",
		GroupID: "look",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			states, err := o.verify(c)
			if err != nil {
				return err
			}
			return o.run(c.Context(), g, states)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *bansOptions) run(ctx context.Context, g *global, states []banlist.State) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		bans, err := list.Bans(ctx, banlist.Filter{States: states, Limit: o.most})
		if err != nil {
			return err
		}
		return g.ui.bans(bans)
	})
}
