package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// serveOptions are the flags of the command serve.
type serveOptions struct {
	noDetector bool
	suggest    bool
}

func (o *serveOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.noDetector, "no-detector", false, "run no detector: overstay detect does, in a process of its own")
	addSuggestFlag(f, &o.suggest)
}

func addSuggestFlag(f *pflag.FlagSet, suggest *bool) {
	f.BoolVar(suggest, "suggest", false, "ban nobody without approval: every decision becomes a suggestion")
}

// load reads the configuration and puts the flags over it.
func (o *serveOptions) load(g *global) (*app.Config, error) {
	cfg, err := g.load()
	if err != nil {
		return nil, err
	}
	if o.noDetector {
		cfg.Detector.Enabled = false
	}
	if o.suggest {
		cfg.Detector.Action = "suggest"
	}
	return cfg, nil
}

func newServe(g *global) *cobra.Command {
	o := &serveOptions{}
	c := &cobra.Command{
		Use:     "serve",
		Short:   "Run the server, its log, the detector and the list",
		Long:    serveHelp,
		GroupID: "run",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), g)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *serveOptions) run(ctx context.Context, g *global) error {
	cfg, err := o.load(g)
	if err != nil {
		return err
	}
	err = app.Serve(ctx, cfg, app.ServeOptions{
		Logger:   g.logger(),
		Ready:    g.ui.serving,
		Decided:  g.ui.decided,
		Live:     g.ui.live,
		Reload:   reloadOn(ctx),
		Load:     func() (*app.Config, error) { return o.load(g) },
		Reloaded: g.ui.reloaded,
	})
	if err = ended(ctx, err); err == nil {
		g.ui.stopped()
	}
	return err
}
