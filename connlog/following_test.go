package connlog

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// following is a follower in a goroutine, and what it has yielded.
type following struct {
	t    *testing.T
	mu   sync.Mutex
	text []string
	live []bool
	pos  []Position
	errs []error
	on   int // calls of OnLive
}

func startFollowing(t *testing.T, path string, o FollowOptions) *following {
	f := &following{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	o.OnLive = func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.on++
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Millisecond
	}
	go func() {
		defer close(done)
		for line, err := range Follow(ctx, path, o) {
			f.mu.Lock()
			if err != nil {
				f.errs = append(f.errs, err)
			} else {
				f.text = append(f.text, string(line.Text))
				f.live = append(f.live, line.Live)
				f.pos = append(f.pos, line.Pos)
			}
			f.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f
}

func (f *following) isLive() {
	f.t.Helper()
	eventually(f.t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.on == 1
	})
}

// want waits for lines, and fails when others come.
func (f *following) want(lines ...string) {
	f.t.Helper()
	eventually(f.t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.text) >= len(lines)
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.text, lines) {
		f.t.Errorf("followed %.200q, want %.200q; errors %v", f.text, lines, f.errs)
	}
}

// wantError waits for the n-th error.
func (f *following) wantError(n int) error {
	f.t.Helper()
	eventually(f.t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.errs) > n
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) <= n {
		return nil
	}
	return f.errs[n]
}

func (f *following) wantNoError() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		f.t.Errorf("errors %v", f.errs)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a failed write is fatal already
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
