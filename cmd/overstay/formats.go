package main

import (
	"github.com/spf13/cobra"

	"overstay/connlog/formats"
)

func newFormats(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "formats",
		Short:   "List the logs that can be read, and what each can tell",
		Long:    formatsHelp,
		GroupID: "look",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return g.ui.formats(formats.All())
		},
	}
}
