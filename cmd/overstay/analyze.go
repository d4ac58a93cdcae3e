package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/detector/loss"
	"overstay/internal/app"
)

// replayOptions are the flags of every command that replays a log.
type replayOptions struct {
	seed  uint64
	seeds int
}

func (o *replayOptions) AddFlags(f *pflag.FlagSet) {
	f.Uint64Var(&o.seed, "seed", 1, "`number` that the holding times of refused clients are drawn with")
	f.IntVar(&o.seeds, "seeds", 20, "how many replays, each with a seed of its own")
}

// maxSeeds is what loss replays at most.
const maxSeeds = 1000

func (o *replayOptions) verify(c *cobra.Command) error {
	if o.seeds < 1 || o.seeds > maxSeeds {
		return usage(c, "--seeds %d is not between 1 and %d", o.seeds, maxSeeds)
	}
	return nil
}

func (o *replayOptions) question() loss.Question {
	return loss.Question{Seed: o.seed, Seeds: o.seeds}
}

// analyzeOptions are the flags of the command analyze.
type analyzeOptions struct {
	replayOptions
	policy string
	most   int
}

func (o *analyzeOptions) AddFlags(f *pflag.FlagSet) {
	o.replayOptions.AddFlags(f)
	f.StringVar(&o.policy, "policy", "", "configuration `file` whose policies are tried (default: those in force)")
	addMostFlag(f, &o.most, 20)
}

// addMostFlag adds the flag that keeps a long list from flooding the screen.
func addMostFlag(f *pflag.FlagSet, most *int, otherwise int) {
	f.IntVarP(most, "most", "n", otherwise, "at most so many lines of each list (0: all)")
}

func newAnalyze(g *global) *cobra.Command {
	o := &analyzeOptions{}
	c := &cobra.Command{
		Use:     "analyze LOG...",
		Short:   "Say what policies would do with finished logs",
		Long:    analyzeHelp,
		GroupID: "look",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, logs []string) error {
			if err := errors.Join(o.verify(c), verifyMost(c, o.most)); err != nil {
				return err
			}
			return o.run(c.Context(), g, logs)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func verifyMost(c *cobra.Command, most int) error {
	if most < 0 {
		return usage(c, "--most %d is no number of lines", most)
	}
	return nil
}

func (o *analyzeOptions) run(ctx context.Context, g *global, logs []string) error {
	cfg, err := g.loadPolicies(o.policy)
	if err != nil {
		return err
	}
	q := o.question()
	q.Singles = -1 // What each ban alone would avert is the business of why.
	a, err := app.Analyze(ctx, cfg, app.AnalyzeOptions{Logs: g.logs(logs), Decide: o.policy != "", Question: q})
	if err != nil {
		return err
	}
	return errors.Join(g.ui.analysis(a, o.most), a.Read.Err())
}

// loadPolicies reads the configuration whose policies are to be applied.
func (g *global) loadPolicies(file string) (*app.Config, error) {
	if file == "" {
		return g.load()
	}
	cfg, err := app.Load(file)
	if err != nil {
		return nil, configError(err)
	}
	return cfg, nil
}

// logs are the files that a command is to read.
func (g *global) logs(paths []string) app.Logs {
	return app.Logs{Paths: paths, Stdin: g.ui.in, Logger: g.logger()}
}
