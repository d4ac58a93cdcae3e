package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/detector"
	"overstay/internal/app"
)

// topOptions are the flags of the command top.
type topOptions struct {
	once     bool
	most     int
	nets     bool
	interval time.Duration
}

func (o *topOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.once, "once", false, "print the ranking once, as a plain table")
	f.IntVarP(&o.most, "most", "n", 20, "at most so many sources")
	f.BoolVar(&o.nets, "nets", false, "rank nets too: of the sizes net_v4 and net_v6 of the configuration, /24 and /48")
	f.DurationVar(&o.interval, "interval", time.Second, "time between two tables")
}

func newTop(g *global) *cobra.Command {
	o := &topOptions{}
	c := &cobra.Command{
		Use:     "top [LOG]",
		Short:   "Rank sources by the threads they hold, live",
		Long:    topHelp,
		GroupID: "look",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, logs []string) error {
			if o.most < 1 {
				return usage(c, "--most %d is no number of sources", o.most)
			}
			if o.interval < 100*time.Millisecond {
				return usage(c, "--interval %v is too short: at least 100ms", o.interval)
			}
			return o.run(c.Context(), g, logs)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *topOptions) run(ctx context.Context, g *global, logs []string) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	path := cfg.Path(cfg.Log.Path)
	if len(logs) == 1 {
		path = logs[0]
	}
	screen := newScreen(g.ui.out)
	// A table that is piped somewhere is printed once: nobody redraws it.
	once := o.once || g.ui.json || !screen.terminal
	defer screen.close()
	if !once {
		screen.open()
	}
	var failed error
	err = cfg.Top(ctx, path, app.TopOptions{
		Once:     once,
		Interval: o.interval,
		Logger:   g.logger(),
		Show: func(d *detector.Detector) {
			view := topView{Pools: viewPools(d.Pools()), Sources: viewRanks(d.Ranking(o.most))}
			if o.nets {
				view.Nets = viewRanks(d.Nets(o.most))
			}
			if g.ui.json {
				failed = g.ui.printJSON(view)
				return
			}
			if _, rows, ok := terminal(screen.out); ok && screen.opened {
				view = view.fitting(rows)
			}
			screen.draw(func(u *ui) { u.top(view) })
		},
	})
	if err == nil {
		err = failed
	}
	return err
}

// topView is one ranking as the command prints it.
type topView struct {
	Pools   []poolView `json:"pools"`
	Sources []rankView `json:"sources"`
	Nets    []rankView `json:"nets,omitempty"`
}

// fitting shares the rows of a screen between addresses and nets, a third of
// them for the nets.
func (v topView) fitting(rows int) topView {
	if len(v.Nets) == 0 {
		return v
	}
	left := max(rows-len(v.Pools)-4, 3) // Two empty lines, and two heads.
	nets := min(len(v.Nets), max(left/3, left-len(v.Sources)))
	v.Nets = v.Nets[:nets]
	v.Sources = v.Sources[:min(len(v.Sources), left-nets)]
	return v
}

type poolView struct {
	Pool    string    `json:"pool"`
	Threads int       `json:"threads"`
	Busy    int       `json:"busy"`
	Load1   float64   `json:"load1"`
	Load5   float64   `json:"load5"`
	Load15  float64   `json:"load15"`
	Refused float64   `json:"refused_per_minute"`
	At      time.Time `json:"at"`
}

type rankView struct {
	Source        string  `json:"source"`
	Members       int     `json:"members,omitempty"`
	Conns         int     `json:"conns"`
	Load1         float64 `json:"load1"`
	Load5         float64 `json:"load5"`
	Load15        float64 `json:"load15"`
	Unproven      int     `json:"unproven"`
	OldestSeconds float64 `json:"oldest_s"`
	Share         float64 `json:"share"`
	Refused       float64 `json:"refused_per_minute"`
	Fails         float64 `json:"fails_per_minute"`
	ThreadSeconds float64 `json:"thread_seconds"`
	Blame         float64 `json:"blame"`
	Blame1        float64 `json:"blame_per_minute"`
}

func viewPools(pools []detector.PoolState) []poolView {
	views := make([]poolView, 0, len(pools))
	for _, p := range pools {
		views = append(views, poolView{
			Pool: p.Name, Threads: p.Threads, Busy: p.Busy,
			Load1: p.Load1, Load5: p.Load5, Load15: p.Load15, Refused: p.Refused, At: p.At,
		})
	}
	return views
}

func viewRanks(ranks []detector.Rank) []rankView {
	views := make([]rankView, 0, len(ranks))
	for _, r := range ranks {
		views = append(views, rankView{
			Source: sourceText(r.Source), Members: r.Members, Conns: r.Conns,
			Load1: r.Load1, Load5: r.Load5, Load15: r.Load15,
			Unproven: r.Unproven, OldestSeconds: r.Oldest.Seconds(), Share: r.Share,
			Refused: r.Refused, Fails: r.Fails, ThreadSeconds: r.ThreadSeconds,
			Blame: r.Blame, Blame1: r.Blame1,
		})
	}
	return views
}
