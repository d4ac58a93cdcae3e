package mailstore

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	home  = netip.MustParsePrefix("192.0.2.1/32")
	away  = netip.MustParsePrefix("198.51.100.1/32")
	third = netip.MustParsePrefix("2001:db8::/64")
)

// One source fills its line, and more. The others are checked as if nobody was
// there but one of it.
func TestSourcesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		if err := turns.take(t.Context(), home); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []netip.Prefix
		var all sync.WaitGroup
		login := func(source netip.Prefix) {
			all.Go(func() {
				if err := turns.take(t.Context(), source); err != nil {
					t.Errorf("%v: %v", source, err)
					return
				}
				mu.Lock()
				order = append(order, source)
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
				turns.give()
			})
			synctest.Wait()
		}
		for range maxSourceLogins {
			login(home)
		}
		if err := turns.take(t.Context(), home); !errors.Is(err, ErrCrowd) || !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		login(away)
		login(away)
		login(third)
		turns.give()
		all.Wait()
		if want := []netip.Prefix{home, away, third, home, away, home, home}; !slices.Equal(order[:len(want)], want) {
			t.Errorf("order %v", order[:len(want)])
		}
		if len(order) != maxSourceLogins+3 {
			t.Errorf("%d turns", len(order))
		}
		checkIdle(t, turns, 1)
	})
}

// Those who give up leave nothing behind, and nobody waits too long.
func TestTurnsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(2)
		for range 2 {
			if err := turns.take(t.Context(), home); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		var all sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for _, source := range []netip.Prefix{home, away, away} {
			all.Go(func() {
				if err := turns.take(t.Context(), source); !errors.Is(err, ErrBusy) || errors.Is(err, ErrCrowd) || time.Since(began) != maxLoginWait {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			})
			all.Go(func() {
				if err := turns.take(ctx, source); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		all.Wait()
		turns.give()
		turns.give()
		checkIdle(t, turns, 2)
	})
}

func checkIdle(t *testing.T, turns *turns, free int) {
	t.Helper()
	if turns.free != free || len(turns.lines) != 0 || len(turns.round) != 0 {
		t.Errorf("%d free, %d lines, %d in the round", turns.free, len(turns.lines), len(turns.round))
	}
}

// While one source floods, an office logs in, all at a time.
func TestFloodOfLogins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, "anna:"+hash(t, "x")+"\n")
	u, err := OpenUsers(path, UsersOptions{Checks: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var flood, office sync.WaitGroup
	for i := range 2 * maxSourceLogins {
		flood.Go(func() {
			for ctx.Err() == nil {
				_, err := u.Authenticate(ctx, away, fmt.Sprint("guess", i), "y")
				switch {
				case errors.Is(err, ErrBusy):
					time.Sleep(time.Millisecond) // The way there and back.
				case !errors.Is(err, ErrLogin) && !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			}
		})
	}
	for range 40 {
		office.Go(func() {
			if _, err := u.Authenticate(t.Context(), home, "anna", "x"); err != nil {
				t.Errorf("the office: %v", err)
			}
		})
	}
	office.Wait()
	cancel()
	flood.Wait()
	checkIdle(t, u.turns, 1)
}
