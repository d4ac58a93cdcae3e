package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// whyOptions are the flags of the command why.
type whyOptions struct {
	replayOptions
	logOptions
	fromTo
	last string
	pool string
	most int
}

func (o *whyOptions) AddFlags(f *pflag.FlagSet) {
	o.replayOptions.AddFlags(f)
	o.fromTo.AddFlags(f)
	f.StringVar(&o.last, "last", "", "look at no more than so much `time` before the log's end (default: read_back)")
	f.StringVar(&o.pool, "pool", "", "look at the threads of this pool only")
	o.logOptions.AddFlags(f)
	addMostFlag(f, &o.most, 10)
}

// verify reads the flags into what is asked for.
func (o *whyOptions) verify(c *cobra.Command) (w app.WhyOptions, err error) {
	if err := errors.Join(o.replayOptions.verify(c), verifyMost(c, o.most)); err != nil {
		return w, err
	}
	w.Question, w.Pool = o.question(), o.pool
	if w.From, w.To, err = o.fromTo.verify(c); err != nil {
		return w, err
	}
	if w.Logs.Format, err = o.logFormat(c); err != nil {
		return w, err
	}
	if o.last != "" {
		if w.Last, err = app.ParseDuration(o.last); err != nil {
			return w, usage(c, "--last: %w", err)
		}
		if w.Last == 0 {
			return w, usage(c, "--last: %q is no time", o.last)
		}
	}
	if o.last != "" && o.from != "" {
		return w, usage(c, "--last and --from exclude each other")
	}
	return w, nil
}

func newWhy(g *global) *cobra.Command {
	o := &whyOptions{}
	c := &cobra.Command{
		Use:     "why [ADDRESS|PREFIX] [LOG...]",
		Short:   "Say why the server is too busy, or what is held against an address",
		Long:    whyHelp,
		GroupID: "look",
		RunE: func(c *cobra.Command, what []string) error {
			w, err := o.verify(c)
			if err != nil {
				return err
			}
			if len(what) > 0 {
				if source, err := parseSource(what[0]); err == nil {
					if o.from != "" || o.to != "" || o.pool != "" {
						return usage(c, "--from, --to and --pool are not for a single address")
					}
					w.Logs = g.logs(what[1:], w.Logs.Format)
					return o.source(c.Context(), g, source, w)
				}
			}
			if len(what) > 0 && isTypo(what[0]) {
				return usage(c, "%q is neither an address nor a file", what[0])
			}
			w.Logs = g.logs(what, w.Logs.Format)
			return o.verdict(c.Context(), g, w)
		},
	}
	o.AddFlags(c.Flags())
	o.complete(c)
	return c
}

// isTypo reports whether a name looks like an address, and is that of no file.
func isTypo(name string) bool {
	_, err := os.Stat(name)
	return errors.Is(err, fs.ErrNotExist) && strings.Trim(name, "0123456789abcdefABCDEF.:/%") == "" && strings.ContainsAny(name, ".:")
}

// verdict says why clients were refused.
func (o *whyOptions) verdict(ctx context.Context, g *global, w app.WhyOptions) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	if o.most == 0 {
		w.Question.Singles = maxSingles
	} else {
		w.Question.Singles = o.most
	}
	progress := newProgress(g.ui.err)
	w.Logs.Progress = progress.update
	answer, err := app.ExplainWhy(ctx, cfg, w)
	progress.end()
	if err != nil {
		return err
	}
	err = errors.Join(g.ui.why(answer, o.most, time.Now()), answer.Read.Err())
	if err == nil && answer.Attack() {
		return foundError{}
	}
	return err
}

// maxSingles bounds the suspects that are banned one by one in replays.
const maxSingles = 1000

// source says what is held against one source.
func (o *whyOptions) source(ctx context.Context, g *global, source netip.Prefix, w app.WhyOptions) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	progress := newProgress(g.ui.err)
	w.Logs.Progress = progress.update
	r, err := app.ExplainSource(ctx, cfg, source, w)
	progress.end()
	if err != nil {
		return err
	}
	return errors.Join(g.ui.whySource(r, o.most, time.Now()), r.Read.Err())
}
