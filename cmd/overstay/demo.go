package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
	"overstay/internal/traffic"
)

// demoOptions are the flags of the command demo.
type demoOptions struct {
	length time.Duration
	seed   uint64
}

func (o *demoOptions) AddFlags(f *pflag.FlagSet) {
	f.DurationVar(&o.length, "for", 15*time.Second, "length of each of the two acts")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the clients' pauses")
}

func newDemo(g *global) *cobra.Command {
	o := &demoOptions{}
	c := &cobra.Command{
		Use:     "demo",
		Short:   "See a slow attack, without and with a policy",
		Long:    demoHelp,
		GroupID: "run",
		Args:    args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.length < 5*time.Second || o.length > 10*time.Minute {
				return usage(c, "--for %v is not between 5s and 10m", o.length)
			}
			return ended(c.Context(), o.run(c.Context(), g))
		},
	}
	o.AddFlags(c.Flags())
	return c
}

// The demonstration's cast: the attack has too few connections at each address
// for a limit per address to notice.
const (
	demoAttackers   = 20
	demoConnections = 9
	attackBegins    = 3 * time.Second
)

func demoGroups() []traffic.Group {
	customers := traffic.Customers(traffic.WWW, traffic.Addresses(netip.MustParseAddr("127.0.1.1"), 8))
	office := traffic.Office(traffic.WWW, 40, netip.MustParseAddr("127.0.2.1"))
	holders := traffic.Holders(traffic.WWW, demoConnections, traffic.Addresses(netip.MustParseAddr("127.0.3.1"), demoAttackers)...)
	holders.From = attackBegins
	return []traffic.Group{customers, office, holders}
}

func (o *demoOptions) run(ctx context.Context, g *global) error {
	var acts []actView
	for _, policies := range []bool{false, true} {
		g.ui.act(policies)
		view, err := o.act(ctx, g, policies)
		if err != nil {
			return err
		}
		acts = append(acts, view)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return g.ui.curtain(acts)
}

// actView is how the clients fared in one act.
type actView struct {
	Policies  bool    `json:"policies"`
	Attempts  int     `json:"attempts"`
	Success   float64 `json:"success"`      // of all attempts of ordinary clients
	LastThird float64 `json:"success_last"` // of those in the last third
	Decisions int     `json:"decisions"`
}

// act runs one server and its clients in a folder that is gone afterwards.
func (o *demoOptions) act(ctx context.Context, g *global, policies bool) (view actView, err error) {
	folder, err := os.MkdirTemp("", "overstay-demo-")
	if err != nil {
		return view, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	cfg := app.Default()
	cfg.State = filepath.Join(folder, "state")
	cfg.Detector.DefaultPolicies = policies
	for i := range cfg.Services {
		cfg.Services[i].Listen = "127.0.0.1:0"
	}

	ctx, stop := context.WithCancel(ctx)
	ready := make(chan app.Running, 1)
	served := make(chan error, 1)
	decided := make(chan struct{}, demoAttackers*10)
	go func() {
		served <- app.Serve(ctx, cfg, app.ServeOptions{
			Logger: g.logger(),
			Ready:  func(r app.Running) { ready <- r },
			Decided: func(d app.Decided) {
				select {
				case decided <- struct{}{}:
				default: // More decisions than attackers: the count is enough.
				}
			},
		})
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()
	var running app.Running
	select {
	case running = <-ready:
	case err := <-served:
		served <- nil
		return view, err
	}
	report, err := o.play(ctx, g, running, decided)
	if err != nil {
		return view, err
	}
	return o.sum(report, policies, len(decided)), nil
}

// play lets the clients loose and tells each second how they fare.
func (o *demoOptions) play(ctx context.Context, g *global, running app.Running, decided <-chan struct{}) (*traffic.Report, error) {
	live := traffic.Live{Seed: o.seed, Length: o.length, Groups: demoGroups()}
	for _, s := range running.Services {
		if s.Name == traffic.WWW {
			at, err := netip.ParseAddrPort(s.Listen)
			if err != nil {
				return nil, err
			}
			live.Target.WWW = []netip.AddrPort{at}
		}
	}
	live.Progress = func(second int, groups []traffic.Second) {
		g.ui.demoSecond(second, groups, len(decided))
	}
	return live.Run(ctx)
}

func (o *demoOptions) sum(report *traffic.Report, policies bool, decisions int) actView {
	view := actView{Policies: policies, Decisions: decisions}
	end := int(o.length / time.Second)
	var all, last, done, lastDone int
	for i := range report.Groups {
		group := &report.Groups[i]
		if group.Attacker {
			continue
		}
		total, third := group.Total(), group.Between(end-end/3, end)
		all += total.Ended()
		done += total.Outcomes[traffic.Done]
		last += third.Ended()
		lastDone += third.Outcomes[traffic.Done]
	}
	view.Attempts = all
	view.Success = float64(done) / float64(max(all, 1))
	view.LastThird = float64(lastDone) / float64(max(last, 1))
	return view
}
