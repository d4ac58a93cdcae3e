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
		leftOut, err := list.ExportText(ctx, g.ui.out, o.service)
		if err == nil && leftOut > 0 {
			g.ui.leftOut(leftOut)
		}
		return err
	})
}
