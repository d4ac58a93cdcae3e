package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// checkOptions are the flags of the command check.
type checkOptions struct{ service string }

func (o *checkOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.service, "service", "", "ask for this service (default: any)")
}

func newCheck(g *global) *cobra.Command {
	o := &checkOptions{}
	c := &cobra.Command{
		Use:     "check ADDRESS",
		Short:   "Say whether an address is banned, and by what",
		Long:    checkHelp,
		GroupID: "look",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			addr, err := netip.ParseAddr(what[0])
			if err != nil {
				return usage(c, "%q is not an address", what[0])
			}
			return o.run(c.Context(), g, addr.Unmap().WithZone(""))
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *checkOptions) run(ctx context.Context, g *global, addr netip.Addr) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		answer, err := list.Check(ctx, addr, o.service)
		if err != nil {
			return err
		}
		if err := g.ui.checked(addr, answer); err != nil {
			return err
		}
		if answer.Blocked {
			return foundError{}
		}
		return nil
	})
}
