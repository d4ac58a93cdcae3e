package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// exportOptions are the flags of the command export.
type exportOptions struct{ service string }

func (o *exportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.service, "service", "", "as text: also bans that are for this service only")
}

func newExport(g *global) *cobra.Command {
	o := &exportOptions{}
	c := &cobra.Command{
		Use:     "export",
		Short:   "Write the list as text or JSON",
		Long:    exportHelp,
		GroupID: "decide",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), g)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *exportOptions) run(ctx context.Context, g *global) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		if g.ui.json {
			return list.ExportJSON(ctx, g.ui.out)
		}
		ends, err := o.countEnds(ctx, list)
		if err != nil {
			return err
		}
		leftOut, err := list.ExportText(ctx, g.ui.out, o.service)
		if err == nil {
			g.ui.leftOut(leftOut, ends)
		}
		return err
	})
}

// countEnds counts the bans that text tells of, but not of their ends.
func (o *exportOptions) countEnds(ctx context.Context, list *banlist.List) (n int, err error) {
	for b, err := range list.All(ctx, banlist.Filter{States: []banlist.State{banlist.Active}, Brief: true}) {
		if err != nil {
			return 0, err
		}
		written := len(b.Services) == 0 || o.service != "" && b.Covers(o.service)
		if written && !b.Expires.IsZero() {
			n++
		}
	}
	return n, nil
}
