package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"overstay/internal/app"
)

func newConvert(g *global) *cobra.Command {
	o := &logOptions{}
	c := &cobra.Command{
		Use:     "convert LOG...",
		Short:   "Write finished logs of any server as a connection log",
		Long:    convertHelp,
		GroupID: "look",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, logs []string) error {
			format, err := o.logFormat(c)
			if err != nil {
				return err
			}
			return convert(c.Context(), g, g.logs(logs, format))
		},
	}
	o.AddFlags(c.Flags())
	o.complete(c)
	return c
}

// convert writes logs to standard output.
func convert(ctx context.Context, g *global, logs app.Logs) error {
	progress := progressBeside(&g.ui)
	logs.Progress = progress.update
	read, err := app.Convert(ctx, logs, g.ui.out)
	progress.end()
	if err != nil {
		return err
	}
	g.ui.converted(&read)
	return errors.Join(read.Err())
}
