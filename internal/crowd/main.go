// Command crowd is the ordinary clients of a test with somebody else's attack
// tool: eight customers and an office of forty behind one address, for www or
// for smtp, on loopback. It prints second by second how they fare, and at the
// end the shares served; it fails if these are less than wanted. For smtp, for
// which there is no common attack tool, it can bring the slow holders too.
//
// It is no load generator: the rate is that of people, and only loopback
// targets are accepted (package traffic).
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/pflag"

	"overstay/internal/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	www := pflag.String("www", "", "`address:port` of the service www")
	smtp := pflag.String("smtp", "", "`address:port` of the service smtp")
	length := pflag.Duration("for", 10*time.Second, "how long")
	last := pflag.Int("last", 20, "seconds at the end that are summed apart")
	whole := pflag.Float64("want", 0, "fail if less than these `percent` are served over the whole time")
	lately := pflag.Float64("want-last", 0, "fail if less than these `percent` are served in the last seconds")
	holders := pflag.String("smtp-holders", "", "attack smtp as well: `SOURCESxCONNECTIONS`, as 20x9")
	seed := pflag.Uint64("seed", 1, "seed of the clients' pauses")
	pflag.Parse()

	live := traffic.Live{Seed: *seed, Length: *length}
	for _, target := range []struct {
		service, address string
		at               *[]netip.AddrPort
	}{
		{traffic.WWW, *www, &live.Target.WWW},
		{traffic.SMTP, *smtp, &live.Target.SMTP},
	} {
		if target.address == "" {
			continue
		}
		at, err := netip.ParseAddrPort(target.address)
		if err != nil {
			return err
		}
		*target.at = []netip.AddrPort{at}
		service := target.service
		customers := traffic.Customers(service, traffic.Addresses(netip.MustParseAddr("127.0.1.1"), 8))
		customers.Name = service + " customers"
		office := traffic.Office(service, 40, netip.MustParseAddr("127.0.2.1"))
		office.Name = service + " office"
		live.Groups = append(live.Groups, customers, office)
	}
	if *holders != "" {
		var sources, connections int
		if _, err := fmt.Sscanf(*holders, "%dx%d", &sources, &connections); err != nil {
			return fmt.Errorf("--smtp-holders %q: %w", *holders, err)
		}
		attack := traffic.Holders(traffic.SMTP, connections, traffic.Addresses(netip.MustParseAddr("127.0.3.1"), sources)...)
		attack.From = 3 * time.Second
		live.Groups = append(live.Groups, attack)
	}
	live.Progress = func(second int, groups []traffic.Second) {
		fmt.Printf("%3d s", second+1)
		for i, s := range groups {
			if live.Groups[i].Attacker {
				fmt.Printf("  %s: %d held", live.Groups[i].Name, s.Held)
				continue
			}
			fmt.Printf("  %s: %d of %d, busy %d", live.Groups[i].Name, s.Outcomes[traffic.Done], s.Ended(), s.Outcomes[traffic.Busy])
		}
		fmt.Println()
	}
	report, err := live.Run(ctx)
	if err != nil {
		return err
	}
	return judge(report, *last, *whole, *lately)
}

// judge prints the shares served, and fails where they are too small.
func judge(report *traffic.Report, last int, whole, lately float64) error {
	var failed error
	for i := range report.Groups {
		g := &report.Groups[i]
		if g.Attacker {
			continue
		}
		total, end := g.Total(), len(g.Seconds)
		all, some := 100*g.Success(0, end), 100*g.Success(end-last, end)
		fmt.Printf("%s: %.1f %% of %d served, %.1f %% in the last %d s; half within %v, 99 in 100 within %v\n",
			g.Name, all, total.Ended(), some, last, g.P50.Round(100*time.Microsecond), g.P99.Round(100*time.Microsecond))
		if all < whole || some < lately {
			failed = fmt.Errorf("%s: wanted %.0f %%, and %.0f %% at the end", g.Name, whole, lately)
		}
	}
	return failed
}
