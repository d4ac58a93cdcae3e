package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// The bounds of a live run. What would go beyond is refused with ErrBounds.
const (
	maxClients   = 4096
	maxPerSecond = 10_000
	maxLength    = time.Hour
)

// Errors of Live.Run. Those of a group wrap ErrGroup as well.
var (
	ErrNotLoopback = errors.New("traffic: not a loopback address")
	ErrBounds      = errors.New("traffic: more than a live run may do")
)

// Target is the server that a live run talks to, and what it asks for there.
type Target struct {
	// Addresses of the services, at most one of each family. A client uses
	// the one of its own family.
	SMTP, WWW []netip.AddrPort

	Recipient string // of messages, empty for "postmaster@localhost"
	Path      string // of the file that is asked for, empty for "/"
}

// Live plays groups over real sockets on loopback.
type Live struct {
	Seed   uint64
	Length time.Duration // 0 for ten seconds
	Target Target
	Groups []Group

	// Timeout is how long a client waits for what it came for, 0 for three
	// seconds. A session of many messages has as long for each of them.
	Timeout time.Duration

	// Progress, if it is set, is called after each full second with what the
	// groups did in it, in the order of Groups. The slice is valid during the
	// call, which should not take long.
	Progress func(second int, groups []Second)
}

// Run plays until the length is over or ctx ends, whichever is first, and
// returns when the last client is gone. A run that ctx cuts short has a report
// all the same.
func (l *Live) Run(ctx context.Context) (*Report, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	begin := time.Now()
	// Not a moment before the last second is full.
	ctx, cancel := context.WithDeadline(ctx, begin.Add(l.length()))
	defer cancel()
	tallies := make([]*tally, len(l.Groups))
	var clients sync.WaitGroup
	id := uint64(0)
	for i := range l.Groups {
		g := &l.Groups[i]
		tallies[i] = newTally(g, begin, l.seconds())
		for _, source := range g.Sources {
			for range g.clients() {
				c := &liveClient{
					live: l, group: g, tally: tallies[i], begin: begin, source: source.Unmap(),
					random: rand.New(rand.NewPCG(l.Seed, id)),
				}
				id++
				clients.Go(func() { c.run(ctx) })
			}
		}
	}
	l.progress(ctx, begin, tallies)
	clients.Wait()
	r := &Report{Length: time.Since(begin)}
	for _, t := range tallies {
		r.Groups = append(r.Groups, t.finish())
	}
	return r, nil
}

// progress reports each second until the run ends.
func (l *Live) progress(ctx context.Context, begin time.Time, tallies []*tally) {
	groups := make([]Second, len(tallies))
	for i := 0; i < l.seconds() && l.Progress != nil; i++ {
		whole := sleep(ctx, time.Until(begin.Add(time.Duration(i+1)*time.Second)))
		if !whole && time.Since(begin) < time.Duration(i+1)*time.Second {
			return
		}
		for k, t := range tallies {
			groups[k] = t.second(i)
		}
		l.Progress(i, groups)
	}
}

func (l *Live) length() time.Duration {
	if l.Length == 0 {
		return 10 * time.Second
	}
	return l.Length
}

// seconds is the length in seconds, rounded up.
func (l *Live) seconds() int { return int((l.length() + time.Second - 1) / time.Second) }

func (l *Live) timeout() time.Duration {
	if l.Timeout == 0 {
		return 3 * time.Second
	}
	return l.Timeout
}

// address returns where a client at this source finds the service.
func (l *Live) address(service string, source netip.Addr) (netip.AddrPort, bool) {
	addrs := l.Target.WWW
	if service == SMTP {
		addrs = l.Target.SMTP
	}
	for _, a := range addrs {
		if a.Addr().Unmap().Is4() == source.Unmap().Is4() {
			return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), true
		}
	}
	return netip.AddrPort{}, false
}

// check returns what is wrong with the run, before a single packet is sent.
func (l *Live) check() error {
	if l.length() < 0 || l.length() > maxLength || l.timeout() < 0 {
		return fmt.Errorf("%w: length %v, timeout %v", ErrBounds, l.length(), l.timeout())
	}
	for _, a := range append(append([]netip.AddrPort{}, l.Target.SMTP...), l.Target.WWW...) {
		if !a.Addr().Unmap().IsLoopback() {
			return fmt.Errorf("%w: target %v", ErrNotLoopback, a)
		}
	}
	clients, perSecond := 0, 0.0
	for i := range l.Groups {
		g := &l.Groups[i]
		if err := l.checkGroup(g); err != nil {
			return err
		}
		clients += len(g.Sources) * g.clients()
		perSecond += g.PerSecond()
		if clients > maxClients || perSecond > maxPerSecond {
			return fmt.Errorf("%w: %d clients, %.0f attempts a second", ErrBounds, clients, perSecond)
		}
	}
	return nil
}

func (l *Live) checkGroup(g *Group) error {
	if err := g.check(); err != nil {
		return err
	}
	if g.Service != SMTP && g.Service != WWW {
		return fmt.Errorf("%w: %s: no live clients for service %q", ErrGroup, g.Name, g.Service)
	}
	if g.Kind == Idling || g.Visits > 0 || g.Retries > 0 || g.Hop > 0 {
		return fmt.Errorf("%w: %s: for the simulation only", ErrGroup, g.Name)
	}
	for _, a := range g.Sources {
		if !a.Unmap().IsLoopback() {
			return fmt.Errorf("%w: %s: %w: source %v", ErrGroup, g.Name, ErrNotLoopback, a)
		}
		if _, ok := l.address(g.Service, a); !ok {
			return fmt.Errorf("%w: %s: no %s target of the family of %v", ErrGroup, g.Name, g.Service, a)
		}
	}
	return nil
}

// sleep waits, and says whether it was for the whole time.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
