package app

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/internal/guard"
)

// guards keep policies from banning whom they must never ban: this machine,
// its gateway, trusted proxies, and operators who are logged in.
type guards struct {
	machine guard.Machine
	proxies guard.Hosts
	logger  *slog.Logger
	guarded func(Guarded) // may be nil

	hosts   guard.Hosts // as of read
	read    time.Time
	failure error // of the last reading
	failed  time.Time
	dropped uint64
	said    map[saidOf]bool
}

// Guarded is a decision that a guard kept from the list, or narrowed.
type Guarded struct {
	Decision detector.Decision
	Host     netip.Prefix // that it would have hit
	Guard    guard.Kind
	// Banned is what is banned in its place: the net without such hosts.
	Banned []netip.Prefix
	// Dropped is how many decisions guards have met since the start.
	Dropped uint64
}

// saidOf is what is said once: of whom, by which policy and guard.
type saidOf struct {
	source netip.Prefix
	policy string
	guard  guard.Kind
}

const (
	// guardsFor is how long what was read of the machine is good for.
	guardsFor = time.Second
	// failedFor is how long a reading that failed is not tried again: under
	// attack there are thousands of lines in a second.
	failedFor = 100 * time.Millisecond
	// maxSaid bounds what is remembered of having been said.
	maxSaid = 10_000
)

// newGuards returns the guards of this machine and of the configuration.
func (c *Config) newGuards(o DetectOptions) *guards {
	g := &guards{logger: o.Logger, guarded: o.Guarded}
	for _, p := range c.trusted() {
		g.proxies = append(g.proxies, guard.Host{Prefix: p, Kind: guard.Proxy})
	}
	return g
}

// look reads the machine again if it was read too long ago. A failure is said
// once, and again when it is another one.
func (g *guards) look(now time.Time) error {
	if g.failure != nil && ago(now.Sub(g.failed), failedFor) {
		return g.failure
	}
	if g.failure == nil && !g.read.IsZero() && ago(now.Sub(g.read), guardsFor) {
		return nil
	}
	hosts, err := g.machine.Hosts()
	if err != nil {
		if g.failure == nil || complaints(g.failure) != complaints(err) {
			g.logger.Error("no bans until it is known whom never to ban", "error", err)
		}
		g.failure, g.failed = err, now
		return err
	}
	if g.failure != nil {
		g.logger.Info("it is known again whom never to ban")
	}
	g.failure, g.read, g.hosts = nil, now, append(hosts, g.proxies...)
	return nil
}

// complaints is the text of an error that is several, whatever their order.
func complaints(err error) string {
	lines := strings.Split(err.Error(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// ago reports whether something was so short a time ago; a clock that was set
// back does not tell.
func ago(passed, most time.Duration) bool { return passed >= 0 && passed < most }

// pass returns those decisions that hit nobody who is guarded. One about a net
// with such hosts in it becomes several, about what is left of the net. An
// error means that it is not known whom to guard, and nothing was passed.
func (g *guards) pass(decisions []detector.Decision, now time.Time) ([]detector.Decision, error) {
	if err := g.look(now); err != nil {
		return nil, err
	}
	passed := make([]detector.Decision, 0, len(decisions))
	for _, d := range decisions {
		host, hit := g.hosts.Within(d.Source)
		if !hit {
			passed = append(passed, d)
			continue
		}
		left := g.hosts.Spare(d.Source, connlog.AddressLevel)
		for i, piece := range left {
			one := d
			one.ID, one.Source = pieceID(d.ID, i), piece
			passed = append(passed, one)
		}
		g.tell(Guarded{Decision: d, Host: host.Prefix, Guard: host.Kind, Banned: left})
	}
	return passed, nil
}

// tell says what a guard did. The like of it is said once, and counted always.
func (g *guards) tell(what Guarded) {
	g.dropped++
	what.Dropped = g.dropped
	d := &what.Decision
	key := saidOf{d.Source, d.Policy, what.Guard}
	if !g.said[key] {
		if g.said == nil || len(g.said) >= maxSaid {
			g.said = map[saidOf]bool{}
		}
		g.said[key] = true
		message := "not banned: it is never to be"
		if len(what.Banned) > 0 {
			message = "not all of a net is banned: one in it is never to be"
		}
		g.logger.Warn(message, "source", d.Source, "policy", d.Policy, "guard", what.Guard, "host", what.Host,
			"banned", what.Banned, "guarded", g.dropped)
	}
	if g.guarded != nil {
		g.guarded(what)
	}
}

// pieceID is the id of a part of a decision. The parts are known by it as
// those of one, see wholeID.
func pieceID(id string, n int) string { return fmt.Sprintf("%s-%d", id, n) }

// wholeID returns the id of the decision that the entry of an id is a part of.
func wholeID(id string) (whole string, isPiece bool) {
	whole, _, isPiece = strings.Cut(id, "-")
	return whole, isPiece
}

// trusted returns the peers that tell who their clients are.
func (c *Config) trusted() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range c.Services {
		all = append(all, prefixes(s.ProxyFrom)...)
	}
	return all
}
