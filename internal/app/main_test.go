package app_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

var attackLength = flag.Duration("attack", shortAttack, "length of each attack")

// detectEnv makes the test binary a detector in a process of its own, over the
// state folder it holds.
const detectEnv = "OVERSTAY_TEST_DETECT"

func TestMain(m *testing.M) {
	if folder := os.Getenv(detectEnv); folder != "" {
		os.Exit(detectForTest(folder))
	}
	// A game with a whole server is longer than what the library is meant for.
	if flag.Set("rapid.checks", games) != nil || flag.Set("rapid.steps", "60") != nil {
		os.Exit(2)
	}
	flag.Parse()
	// The tests with traffic wait far more than they work.
	if err := flag.Set("test.parallel", "6"); err != nil {
		os.Exit(2)
	}
	// The tail library keeps one watcher for the life of the process.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/nxadm/tail/watch.(*InotifyTracker).run"),
		goleak.IgnoreAnyFunction("github.com/fsnotify/fsnotify.(*Watcher).readEvents"))
}

// detectForTest detects with the configuration file of a test until its
// standard input ends.
func detectForTest(folder string) int {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1)) // Its end is all there is to know.
		stop()
	}()
	cfg, err := app.Load(filepath.Join(folder, "overstay.toml"))
	if err == nil {
		err = app.Detect(ctx, cfg, cfg.Path(cfg.Log.Path), app.DetectOptions{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	}
	if err != nil {
		slog.Error("detect", "error", err)
		return 1
	}
	return 0
}

// running is a server that a test started.
type running struct {
	t       testing.TB
	cfg     *app.Config
	address map[string]netip.AddrPort // of each service
	stop    func()                    // ends it in order, and waits

	mu      sync.Mutex
	decided []app.Decided
}

// serve starts a server on free ports, with its state in a folder of the test.
func serve(t testing.TB, change func(*app.Config)) *running {
	t.Helper()
	cfg := app.Default()
	cfg.State = filepath.Join(t.TempDir(), "state")
	for i := range cfg.Services {
		cfg.Services[i].Listen = "127.0.0.1:0"
	}
	if change != nil {
		change(cfg)
	}
	return serveWith(t, cfg)
}

func serveWith(t testing.TB, cfg *app.Config) *running {
	t.Helper()
	return serveTold(t, cfg, app.ServeOptions{})
}

// serveTold starts a server that is told more than its configuration.
func serveTold(t testing.TB, cfg *app.Config, o app.ServeOptions) *running {
	t.Helper()
	r := &running{t: t, cfg: cfg, address: map[string]netip.AddrPort{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan app.Running, 1)
	done := make(chan error, 1)
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	o.Ready = func(up app.Running) { ready <- up }
	o.Decided = func(d app.Decided) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.decided = append(r.decided, d)
	}
	go func() { done <- app.Serve(ctx, cfg, o) }()
	select {
	case up := <-ready:
		for _, s := range up.Services {
			r.address[s.Name] = netip.MustParseAddrPort(s.Listen)
		}
	case err := <-done:
		cancel()
		t.Fatalf("serve: %v", err)
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// decisions returns what has been decided so far.
func (r *running) decisions() []app.Decided {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]app.Decided(nil), r.decided...)
}

// list opens the shared list, as another process would.
func (r *running) list() *banlist.List {
	r.t.Helper()
	list, err := banlist.Open(context.Background(), r.cfg.Path(r.cfg.List.Path), banlist.Options{Lazy: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = list.Close() })
	return list
}

// events reads the whole connection log, rotated files included.
func (r *running) events() []connlog.Event {
	r.t.Helper()
	return readLog(r.t, r.cfg.Path(r.cfg.Log.Path))
}

// readLog reads what is in the log at path now.
func readLog(t testing.TB, path string) []connlog.Event {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var events []connlog.Event
	var parser connlog.Parser
	for line, err := range connlog.Follow(ctx, path, connlog.FollowOptions{Since: time.Unix(1, 0), OnLive: stop}) {
		if err != nil {
			t.Fatalf("read log: %v", err)
		}
		var e connlog.Event
		if err := parser.Parse(line.Text, &e); err != nil {
			t.Fatalf("read log: %q: %v", line.Text, err)
		}
		events = append(events, e)
	}
	return events
}

// eventually waits until ok is true, and fails the test if that takes long.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// testWriter writes into a test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(text []byte) (int, error) {
	if errors.Is(w.t.Context().Err(), context.Canceled) {
		return len(text), nil // The test is over: nobody listens.
	}
	w.t.Logf("%s", text)
	return len(text), nil
}
