package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/detector/loss"
	"overstay/detector/occupancy"
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
	logOptions
	policy    string
	suggest   bool
	by        string
	top, most int
	level     string
	service   string
	fromTo    fromTo
	csv       bool
	html      string
	given     []string // the flags that the result depends on
}

func (o *analyzeOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.by, "by", "", "rank sources by this `figure`: "+strings.Join(figureNames(), ", ")+" (default: what the log tells best)")
	f.IntVar(&o.top, "top", 20, "at most so many sources and nets (0: all)")
	f.StringVar(&o.level, "level", "", "rank only sources of this `level`: address, net")
	f.StringVar(&o.service, "service", "", "only this service")
	o.fromTo.AddFlags(f)
	o.logOptions.AddFlags(f)
	f.StringVar(&o.policy, "policy", "", "configuration `file` whose policies are tried (default: those in force, if clients were turned away)")
	f.BoolVar(&o.suggest, "suggest", false, "put what the policies find on the list, for review")
	f.BoolVar(&o.csv, "csv", false, "print the ranking as CSV")
	f.StringVar(&o.html, "html", "", "write a page for people to this `file`")
	o.replayOptions.AddFlags(f)
	addMostFlag(f, &o.most, 20)
}

// complete has the shell know what can be given to the flags.
func (o *analyzeOptions) complete(c *cobra.Command) {
	o.logOptions.complete(c)
	completeWith(c, "by", figureNames()...)
	completeWith(c, "level", levelAddress, levelNet)
}

// The levels of sources.
const (
	levelAddress = "address"
	levelNet     = "net"
)

func figureNames() []string {
	var names []string
	for _, by := range occupancy.Bys() {
		names = append(names, string(by))
	}
	return names
}

// fromTo are the flags that bound the time which is looked at.
type fromTo struct{ from, to string }

func (o *fromTo) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.from, "from", "", "look at the `time` from then on: 15:04, 2h (before the log's end), 2026-01-02T15:04:05Z")
	f.StringVar(&o.to, "to", "", "and up to that `time`")
}

func (o *fromTo) verify(c *cobra.Command) (from, to app.Moment, err error) {
	if o.from != "" {
		if from, err = app.ParseMoment(o.from); err != nil {
			return from, to, usage(c, "--from: %w", err)
		}
	}
	if o.to != "" {
		if to, err = app.ParseMoment(o.to); err != nil {
			return from, to, usage(c, "--to: %w", err)
		}
	}
	return from, to, nil
}

// addMostFlag adds the flag that keeps a long list from flooding the screen.
func addMostFlag(f *pflag.FlagSet, most *int, otherwise int) {
	f.IntVarP(most, "most", "n", otherwise, "at most so many lines of each list (0: all)")
}

func newAnalyze(g *global) *cobra.Command {
	o := &analyzeOptions{}
	c := &cobra.Command{
		Use:     "analyze LOG...",
		Short:   "Say who held the threads in finished logs of any server, and why",
		Long:    analyzeHelp,
		GroupID: "look",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, logs []string) error {
			a, err := o.verify(c, g)
			if err != nil {
				return err
			}
			a.Logs, o.given = g.logs(logs, a.Logs.Format), givenFlags(c.Flags())
			return o.run(c.Context(), g, a)
		},
	}
	o.AddFlags(c.Flags())
	o.complete(c)
	return c
}

// verify reads the flags into what is asked for.
func (o *analyzeOptions) verify(c *cobra.Command, g *global) (a app.AnalyzeOptions, err error) {
	if err := errors.Join(o.replayOptions.verify(c), verifyMost(c, o.most)); err != nil {
		return a, err
	}
	if o.by != "" {
		if a.By, err = occupancy.ParseBy(o.by); err != nil {
			return a, usage(c, "--by %q is none of %s", o.by, strings.Join(figureNames(), ", "))
		}
	}
	switch {
	case o.top < 0:
		return a, usage(c, "--top %d is no number of sources", o.top)
	case o.level != "" && o.level != levelAddress && o.level != levelNet:
		return a, usage(c, "--level %q is neither address nor net", o.level)
	case o.csv && g.ui.json:
		return a, usage(c, "--csv and --json exclude each other")
	}
	if a.From, a.To, err = o.fromTo.verify(c); err != nil {
		return a, err
	}
	if a.Logs.Format, err = o.logFormat(c); err != nil {
		return a, err
	}
	a.Top, a.Service, a.Decide = o.top, o.service, o.policy != "" || o.suggest
	a.Question = o.question()
	a.Question.Singles = -1 // What each ban alone would avert is the business of why.
	if c.Flags().Changed("html") {
		if err := verifyPage(o.html); err != nil {
			return a, usage(c, "--html: %w", err)
		}
		a.Buckets = pageBuckets
	}
	return a, nil
}

// pageBuckets is into how many parts a page divides the time.
const pageBuckets = 240

func verifyMost(c *cobra.Command, most int) error {
	if most < 0 {
		return usage(c, "--most %d is no number of lines", most)
	}
	return nil
}

func (o *analyzeOptions) run(ctx context.Context, g *global, a app.AnalyzeOptions) error {
	cfg, err := g.loadPolicies(o.policy)
	if err != nil {
		return err
	}
	progress := newProgress(g.ui.err)
	a.Logs.Progress = progress.update
	analysis, err := app.Analyze(ctx, cfg, a)
	progress.end()
	if err != nil {
		return err
	}
	var suggested []app.Suggested
	var unlisted error // It is no reason to keep back what hours of reading told.
	if o.suggest {
		suggested, unlisted = o.suggestions(ctx, g, analysis)
	}
	err = errors.Join(o.page(g, analysis), o.print(g, analysis, suggested, o.suggest && unlisted == nil), unlisted, analysis.Read.Err())
	if err == nil && analysis.Attack() {
		return foundError{}
	}
	return err
}

// print writes the result in the form that is asked for; listed says whether
// the list was asked.
func (o *analyzeOptions) print(g *global, a *app.Analysis, suggested []app.Suggested, listed bool) error {
	switch {
	case o.csv:
		if listed {
			g.ui.suggestedCount(suggested)
		}
		return g.ui.analysisCSV(a, o.level)
	case g.ui.json:
		return g.ui.printJSON(viewAnalysis(a, suggested, listed))
	}
	return g.ui.analysis(a, analysisShown{most: o.most, top: o.top, level: o.level, suggested: suggested, suggest: listed})
}

// suggestions puts what was decided on the list of the configuration in force,
// whosever policies decided.
func (o *analyzeOptions) suggestions(ctx context.Context, g *global, a *app.Analysis) ([]app.Suggested, error) {
	cfg, err := g.load()
	if err != nil {
		return nil, err
	}
	path := cfg.Path(cfg.List.Path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && len(a.Decisions) > 0 {
		g.ui.newList(path)
	}
	return app.Suggest(ctx, cfg, a.Decisions, time.Now(), g.logger())
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
