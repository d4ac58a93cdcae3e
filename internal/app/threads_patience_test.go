package app_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

// Holders who say nothing fill a pool, and nobody bans them. Without the
// patience that shrinks, an office finds no thread; with it, everybody there
// is served. Who waits in IDLE, logged in, stays all the while.
func TestPatienceShrinksWhileThePoolIsFull(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		name     string
		stressed time.Duration
	}{{"without", time.Hour}, {"with", 200 * time.Millisecond}} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			r := serveCrowded(t, p.stressed)
			idler := newIdler(t, r)
			ctx, stop := context.WithCancel(t.Context())
			var holders sync.WaitGroup
			for i := range 40 {
				holders.Go(func() { r.hold(ctx, netip.AddrFrom4([4]byte{127, 0, 3, byte(i + 1)})) })
			}
			eventually(t, "the pool is full", func() bool { return refusals(r.events())["smtp"][connlog.RefuseBusy] > 0 })

			served, tried := r.office(10, 2*time.Second, p.stressed < time.Hour)
			stop()
			holders.Wait()
			least := served[0]
			for _, n := range served {
				least = min(least, n)
			}
			t.Logf("%s: %d attempts of an office of %d, served %v times", p.name, tried, len(served), served)
			if p.stressed == time.Hour && fmt.Sprint(served) != fmt.Sprint(make([]int, len(served))) {
				t.Errorf("the pool was full for good, but the office was served: %v", served)
			}
			if p.stressed < time.Hour && least == 0 {
				t.Errorf("somebody was not served once: %v", served)
			}
			idler.hearsOfMail(t, r)
			r.checkTimeouts(p.stressed < time.Hour)
		})
	}
}

// serveCrowded starts a server whose smtp and imap share 20 threads, without a
// detector and without limits for sources.
func serveCrowded(t *testing.T, stressed time.Duration) *running {
	users, pair := equip(t, t.TempDir())
	return serve(t, func(cfg *app.Config) {
		cfg.Detector.Enabled = false
		cfg.Mail.Users, cfg.TLS, cfg.Services = users, pair, nil
		for _, protocol := range []string{"smtp", "imap"} {
			s := serviceLike(protocol)
			s.Listen, s.Pool, s.Threads, s.UnprovenPerSource = "127.0.0.1:0", "mail", 20, -1
			s.Idle, s.Unproven = app.Duration(time.Hour), app.Duration(time.Hour)
			s.IdleStressed = app.Duration(stressed)
			cfg.Services = append(cfg.Services, s)
		}
	})
}

// hold keeps a connection that says nothing, and takes another when it loses
// it, until ctx ends.
func (r *running) hold(ctx context.Context, address netip.Addr) {
	for ctx.Err() == nil {
		c, err := from(address, r.address["smtp"])
		if err != nil {
			r.t.Error(err)
			return
		}
		release := context.AfterFunc(ctx, func() { _ = c.Close() }) // It is ours.
		_, _ = io.Copy(io.Discard, c)                               // Until one of us hangs up.
		if release() {
			_ = c.Close() // The server has.
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// office has clients behind one address send mail for a time, or until each has
// been served once. It returns how often each was served, and how often all of
// them tried.
func (r *running) office(clients int, length time.Duration, until bool) (served []int, tried int64) {
	served = make([]int, clients)
	var all sync.WaitGroup
	var attempts atomic.Int64
	begin := time.Now()
	for i := range served {
		all.Go(func() {
			for past := time.Since(begin); past < length || until && served[i] == 0 && past < patience; past = time.Since(begin) {
				attempts.Add(1)
				tcp, err := from(netip.MustParseAddr("127.0.2.1"), r.address["smtp"])
				if err != nil {
					r.t.Error(err)
					return
				}
				g := newGuest("smtp", "smtp", tcp)
				if g.work() {
					served[i]++
				}
				g.leave()
				time.Sleep(20 * time.Millisecond) // As a client that is told to come back.
			}
		})
	}
	all.Wait()
	return served, attempts.Load()
}

// idler is a client that has logged in and waits for mail.
type idler struct{ *guest }

func newIdler(t *testing.T, r *running) idler {
	t.Helper()
	tcp, err := from(netip.MustParseAddr("127.0.8.1"), r.address["imap"])
	if err != nil {
		t.Fatal(err)
	}
	g := newGuest("imap", "imap", tcp)
	t.Cleanup(g.close)
	if !g.login(password) || !g.work() || g.ask("i IDLE", "+ ", "i ") != "+ " {
		t.Fatal("it cannot wait for mail")
	}
	return idler{g}
}

// hearsOfMail sends a message, and wants the idler to be told of it.
func (i idler) hearsOfMail(t *testing.T, r *running) {
	t.Helper()
	_ = i.tcp.SetDeadline(time.Now().Add(patience)) // It is open.
	told := make(chan string, 1)
	go func() {
		for {
			line, err := i.in.ReadString('\n')
			if err != nil || strings.HasSuffix(line, " EXISTS\r\n") {
				told <- line
				return
			}
		}
	}()
	eventually(t, "mail can be sent when the holders have gone", func() bool {
		tcp, err := from(netip.MustParseAddr("127.0.2.1"), r.address["smtp"])
		if err != nil {
			t.Fatal(err)
		}
		g := newGuest("smtp", "smtp", tcp)
		defer g.close()
		return g.work()
	})
	if line := <-told; line == "" {
		t.Error("who waits in IDLE was sent away")
	}
}

// checkTimeouts looks at whom the server sent away for his silence: holders,
// and none who was proven. Nobody was banned.
func (r *running) checkTimeouts(want bool) {
	r.t.Helper()
	bans, err := r.list().Bans(context.Background(), banlist.Filter{})
	if err != nil || len(bans) > 0 {
		r.t.Errorf("bans: %+v, %v", bans, err)
	}
	n := 0
	for _, e := range r.events() {
		if e.Kind != connlog.Close || e.End != connlog.EndTimeout {
			continue
		}
		if netip.MustParsePrefix("127.0.3.0/24").Contains(e.ClientIP) {
			n++
		} else if e.Proven {
			r.t.Errorf("out of time: %+v", e)
		}
	}
	if (n > 0) != want {
		r.t.Errorf("%d holders were sent away", n)
	}
	r.t.Logf("%d holders were sent away for their silence", n)
}
