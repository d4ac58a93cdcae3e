package banlist

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options of Open. The zero value is a good choice for a server.
type Options struct {
	// Lazy is for a process that asks or changes little and ends: nothing is
	// loaded, each question goes to the file, there is no change feed, and
	// nothing runs in the background.
	Lazy bool
	// SuggestionTTL is how long a suggestion waits; default 24 hours.
	SuggestionTTL time.Duration
	// HistoryKeep is how long entries that have ended and history are kept;
	// default 90 days. An id that is forgotten can be decided again, so it
	// must be longer than any log that is replayed.
	HistoryKeep time.Duration
	// HistoryMax is how many of each are kept at most; default 1,000,000.
	HistoryMax int
	// MaxEntries is how many bans a detector or an import can have in force
	// in all; default 4,000,000. It does not bind a Lazy list.
	MaxEntries int
	// Poll is how often the file is looked at for a change whose notice did
	// not arrive; default one second.
	Poll time.Duration
	// Logger gets what cannot be returned to a caller; nil for nobody.
	Logger *slog.Logger

	noNotice bool // tests with a clock of their own
}

func (o Options) withDefaults() Options {
	set(&o.SuggestionTTL, 24*time.Hour)
	set(&o.HistoryKeep, 90*24*time.Hour)
	set(&o.HistoryMax, 1_000_000)
	set(&o.MaxEntries, 4_000_000)
	set(&o.Poll, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func set[T int | time.Duration](v *T, standard T) {
	if *v <= 0 {
		*v = standard
	}
}

// horizon is how far ahead of the next poll a ban must end for a lookup not to
// ask the clock.
const horizon = 10 * time.Minute

// List is an open banned-host list. All methods may be called at the same
// time.
type List struct {
	options Options
	path    string
	view    atomic.Pointer[view]
	store   atomic.Pointer[store] // replaced when the file is
	feed    feed
	// horizon lets most lookups do without the clock: it is renewed with each
	// poll, and lies far enough ahead that it cannot come before the next.
	horizon atomic.Int64

	mu         sync.Mutex // held by writers and by refresh
	closed     bool
	rev        int64 // what the view shows
	allowedRev int64
	nextSweep  time.Time
	failing    error // the file's error that was logged last

	notice *notice // nil in a Lazy list
	poke   chan struct{}
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// Open opens the list in the file at path, which is made with its folder if it
// is not there. ctx bounds the opening only. Errors wrap ErrDamaged, ErrNewer,
// ErrBusy, ErrNoSpace or an error of the file system, and name the file.
func Open(ctx context.Context, path string, o Options) (*List, error) {
	l := &List{options: o.withDefaults(), path: path, poke: make(chan struct{}, 1)}
	l.view.Store(newView())
	s, err := openStore(ctx, path, true)
	if err != nil {
		return nil, err
	}
	l.store.Store(s)
	if o.Lazy {
		return l, nil
	}
	// The ear is open before the list is read, so no change falls between.
	if !o.noNotice {
		if l.notice, err = listen(path, l.wake); err != nil {
			l.options.Logger.Warn("other processes will hear of changes late", "file", path, "error", err)
		}
	}
	if err := l.load(ctx, s); err != nil {
		l.notice.close()
		_ = s.close() // The first error is the one to tell.
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	l.tasks.Go(func() { l.run(run) })
	return l, nil
}

// Close ends the background work and closes the file. Watchers end. Lookups go
// on to answer from what was in memory.
func (l *List) Close() error {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	if l.cancel != nil {
		l.cancel()
	}
	l.tasks.Wait()
	l.horizon.Store(0) // Nobody renews it any more.
	l.notice.close()
	l.feed.close()
	s := l.store.Load()
	return s.fail("close", s.close())
}

// Path returns the name of the file.
func (l *List) Path() string { return l.path }

// Blocked reports whether the address may not use the service. It takes no
// lock and does not allocate. The allow list wins; else any ban in force at a
// prefix of the address that concerns the service blocks. A ban whose end has
// come does not, even if the file still calls it active. A mapped IPv4 address
// counts as IPv4, a zone is ignored, an empty service stands for any.
func (l *List) Blocked(addr netip.Addr, service string) bool {
	if l.options.Lazy {
		_, blocked := l.Match(addr, service)
		return blocked
	}
	return l.view.Load().blocked(addr, service, l.horizon.Load())
}

// Match is Blocked, and returns the entry: of those that block, the one with
// the longest prefix. It is for people and may read the file; when the file
// fails, the entry holds what is known without it.
func (l *List) Match(addr netip.Addr, service string) (*Ban, bool) {
	if !l.options.Lazy && !l.Blocked(addr, service) {
		return nil, false
	}
	a, err := l.Check(context.Background(), addr, service)
	if err == nil && a.Blocked {
		return a.Ban, true
	}
	if l.options.Lazy || err == nil {
		return nil, false
	}
	return &Ban{Prefix: hostPrefix(addr), State: Active}, true
}

// Size returns how many prefixes are banned in memory: an entry whose end has
// come counts until it is swept, two bans of one prefix count once.
func (l *List) Size() int { return l.view.Load().bans.Size() }

// Failing returns the error of the file that keeps the list from being up to
// date, nil when it is.
func (l *List) Failing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failing
}

// wake makes the background task look at the file.
func (l *List) wake() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// run keeps the view up to date and ends what is over, until ctx does.
func (l *List) run(ctx context.Context) {
	poll := time.NewTicker(l.options.Poll)
	defer poll.Stop()
	prune := time.NewTicker(time.Hour)
	defer prune.Stop()
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	var swept time.Time
	l.tidy(ctx)
	for {
		l.horizon.Store(time.Now().Add(horizon + l.options.Poll).UnixMicro())
		select {
		case <-ctx.Done():
			return
		case <-l.poke:
		case <-poll.C:
		case <-sweep.C:
			l.sweep(ctx)
			swept = time.Now()
		case <-prune.C:
			l.tidy(ctx)
		}
		l.mu.Lock()
		err := l.refreshLocked(ctx)
		l.noteLocked(err)
		if err == nil {
			pause := l.untilSweepLocked(ctx, swept)
			l.nextSweep = time.Now().Add(pause)
			sweep.Reset(pause)
		}
		l.mu.Unlock()
	}
}

// write runs one transaction, shows its outcome in memory, and tells the
// watchers and the other processes.
func (l *List) write(ctx context.Context, fn func(t *tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	s := l.store.Load()
	if err := s.check(); err != nil {
		l.wake() // To see whether the file that is there now will do.
		l.noteLocked(err)
		return err
	}
	v := l.view.Load()
	seen := known{room: l.options.MaxEntries - v.bans.Size(), allowed: v.allowed, allowedRev: l.allowedRev}
	t, err := s.write(ctx, seen, fn)
	if err != nil {
		l.noteLocked(err)
		return err
	}
	if t.rev == 0 {
		return nil
	}
	if !l.options.Lazy {
		// It is committed: an error now is not one of the caller's change.
		l.noteLocked(l.showOwnLocked(context.WithoutCancel(ctx), t))
		if t.more || endsLater(l.nextSweep, t.firstEnd) {
			l.wake() // To set the timer for a nearer end.
		}
	}
	l.announce()
	return nil
}

// announce tells the other processes of a change.
func (l *List) announce() {
	if l.options.noNotice {
		return
	}
	if err := tell(l.path, l.notice); err != nil {
		l.options.Logger.Warn("other processes will hear of a change late", "file", l.path, "error", err)
	}
}

// noteLocked keeps and logs a change in the health of the file. Errors that
// pass, or that are the caller's, are none.
func (l *List) noteLocked(err error) {
	switch {
	case err == nil:
		if l.failing != nil {
			l.failing = nil
			l.options.Logger.Info("the file of the banned-host list is back", "file", l.path)
		}
	case !isFileError(err), errors.Is(err, ErrBusy), errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded):
	default:
		if l.failing == nil {
			l.options.Logger.Error("the file of the banned-host list fails; bans in memory stay in force",
				"file", l.path, "error", err)
		}
		l.failing = err
	}
}
