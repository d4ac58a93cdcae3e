package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

func newPolicy(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Compare policies on finished logs",
		GroupID: "look",
	}
	group(c)
	c.AddCommand(newPolicyDiff(g))
	return c
}

// diffOptions are the flags of policy diff.
type diffOptions struct {
	replayOptions
	logOptions
	most int
}

func (o *diffOptions) AddFlags(f *pflag.FlagSet) {
	o.replayOptions.AddFlags(f)
	o.logOptions.AddFlags(f)
	addMostFlag(f, &o.most, 20)
}

func newPolicyDiff(g *global) *cobra.Command {
	o := &diffOptions{}
	c := &cobra.Command{
		Use:   "diff OLD NEW LOG...",
		Short: "Say what changes between the policies of two configuration files",
		Long:  policyDiffHelp,
		Args:  args(cobra.MinimumNArgs(3)),
		RunE: func(c *cobra.Command, what []string) error {
			if err := errors.Join(o.verify(c), verifyMost(c, o.most)); err != nil {
				return err
			}
			format, err := o.logFormat(c)
			if err != nil {
				return err
			}
			return o.run(c.Context(), g, what[0], what[1], g.logs(what[2:], format))
		},
	}
	o.AddFlags(c.Flags())
	o.complete(c)
	return c
}

func (o *diffOptions) run(ctx context.Context, g *global, before, after string, logs app.Logs) error {
	one, err := g.loadPolicies(before)
	if err != nil {
		return err
	}
	two, err := g.loadPolicies(after)
	if err != nil {
		return err
	}
	q := o.question()
	q.Singles = -1
	progress := newProgress(g.ui.err)
	logs.Progress = progress.update
	d, err := app.DiffPolicies(ctx, one, two, logs, q)
	progress.end()
	if err != nil {
		return err
	}
	return errors.Join(g.ui.policyDiff(d, o.most), d.Read.Err())
}
