package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// detectOptions are the flags of the command detect.
type detectOptions struct {
	list    string
	suggest bool
}

func (o *detectOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.list, "list", "", "shared list `file`, in place of the configured one")
	addSuggestFlag(f, &o.suggest)
}

func newDetect(g *global) *cobra.Command {
	o := &detectOptions{}
	c := &cobra.Command{
		Use:     "detect [LOG]",
		Short:   "Follow a connection log, and suggest or ban",
		Long:    detectHelp,
		GroupID: "run",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, logs []string) error {
			return o.run(c.Context(), g, logs)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *detectOptions) run(ctx context.Context, g *global, logs []string) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	if o.suggest {
		cfg.Detector.Action = "suggest"
	}
	if o.list != "" {
		// A path given by hand is relative to where the hand is.
		if cfg.List.Path, err = filepath.Abs(o.list); err != nil {
			return err
		}
	}
	path := cfg.Path(cfg.Log.Path)
	if len(logs) == 1 {
		path = logs[0]
	}
	g.ui.detecting(path, cfg)
	return ended(ctx, app.Detect(ctx, cfg, path, app.DetectOptions{
		Logger:  g.logger(),
		Decided: g.ui.decided,
		Live:    g.ui.live,
	}))
}
