package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// soak is what is to be done.
type soak struct {
	idle, rate, senders, size int
	length, turn, probe       time.Duration
	folder, profiles          string
	postfix                   bool // beside the others
	progress                  io.Writer
}

const (
	// share of what the slowest can do is what is asked of all.
	share = 0.8
	// settleTime is how long a server has for what follows a transaction.
	settleTime = 200 * time.Millisecond
	// emptyTime is how long a server may need to notice that all have gone.
	emptyTime = 30 * time.Second
)

// subject is a server that is measured.
type subject struct {
	*process
	holder *process

	start, smtp, imap  usage // before all, with the first idle sessions, with all
	loaded, end        usage // with them after the load, and without them
	again              usage // after as many have come and gone once more
	smtpIdle, imapIdle int   // sessions that there shall be
	heldSMTP, heldIMAP int
	fastest            float64 // transactions a second

	sent        outcome
	transaction []time.Duration // processor time of one, by turn
	lost        int             // idle sessions that did not live until the end; of overstay only
	pools       []pool          // at the end, of overstay only
}

func (s *soak) say(format string, v ...any) { _, _ = fmt.Fprintf(s.progress, format+"\n", v...) }

// run does all of it.
func (s *soak) run(ctx context.Context) (r *report, err error) {
	folder, err := os.MkdirTemp(s.folder, "overstay-soak-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := os.Chmod(folder, 0o711); err != nil { // Postfix gives up being root inside.
		return nil, err
	}
	var subjects []*subject
	defer func() {
		for _, one := range subjects {
			err = errors.Join(err, one.stop())
		}
	}()
	names := []string{"overstay", "library", "library+store"}
	if s.postfix {
		names = append(names, "postfix")
	}
	for _, name := range names {
		one := &subject{smtpIdle: s.idle / 2, imapIdle: s.idle - s.idle/2}
		if name == "postfix" {
			one.smtpIdle, one.imapIdle = min(postfixIdle, s.idle/2), 0
		}
		if one.process, err = launch(name + " " + folder); err != nil {
			return nil, err
		}
		subjects = append(subjects, one)
	}
	for _, do := range []func(context.Context, []*subject) error{s.hold, s.load, s.leave} {
		if err := do(ctx, subjects); err != nil {
			return nil, err
		}
	}
	return &report{soak: s, subjects: subjects}, nil
}

// stop ends the processes that are left.
func (s *subject) stop() error {
	err := s.hangUp()
	return errors.Join(err, s.process.end())
}

func (s *subject) hangUp() error {
	if s.holder == nil {
		return nil
	}
	h := s.holder
	s.holder = nil
	return h.end()
}

// hold opens the idle sessions, one server after the other.
func (s *soak) hold(ctx context.Context, subjects []*subject) error {
	for _, one := range subjects {
		s.say("%s: %d idle sessions", one.name, one.smtpIdle+one.imapIdle)
		var err error
		if one.holder, err = launch("holder"); err != nil {
			return err
		}
		// One of each first: what all of them share is not theirs.
		var first int
		err = errors.Join(one.keep("smtp", 1, &first), one.keep("imap", 1, &first), one.ask("settled", &one.start),
			one.keep("smtp", one.smtpIdle, &one.heldSMTP), one.ask("settled", &one.smtp),
			one.keep("imap", one.imapIdle, &one.heldIMAP), one.ask("settled", &one.imap), ctx.Err())
		if err != nil {
			return err
		}
	}
	return nil
}

// keep opens idle sessions, and says how many it could.
func (s *subject) keep(service string, count int, held *int) error {
	if s.at[service] == "" {
		return nil
	}
	return s.holder.ask(service+" "+s.at[service]+" "+strconv.Itoa(count), held)
}

// load sends the mail, in turns.
func (s *soak) load(ctx context.Context, subjects []*subject) error {
	l := load{senders: s.senders, text: message(s.size)}
	slowest := float64(s.rate) / share
	for _, one := range subjects {
		l.address = one.at["smtp"]
		probe := l.send(ctx, s.probe)
		var rested bool
		if err := one.ask("rest", &rested); err != nil {
			return err
		}
		if probe.errors > 0 {
			return fmt.Errorf("%s: %w", one.name, probe.first)
		}
		one.fastest = probe.perSecond()
		s.say("%s: %.0f transactions a second at most", one.name, one.fastest)
		if one.name != "postfix" { // It has its own rate, not to slow down the others.
			slowest = min(slowest, one.fastest)
		}
	}
	turns := max(1, int(s.length/s.turn))
	s.say("%d turns of %v at %d transactions a second", turns, s.length/time.Duration(turns), int(slowest*share))
	if err := s.profile(subjects, "profile", "cpu"); err != nil {
		return err
	}
	for i := range turns {
		for _, one := range subjects {
			l.address, l.rate = one.at["smtp"], max(1, int(min(slowest, one.fastest)*share))
			if err := one.take(ctx, l, s.length/time.Duration(turns)); err != nil {
				return err
			}
		}
		s.say("turn %d of %d", i+1, turns)
	}
	err := errors.Join(s.profile(subjects, "profiled", ""), s.profile(subjects, "memory", "held"))
	if err != nil {
		return err
	}
	for _, one := range subjects {
		slices.Sort(one.sent.took)
		if err := one.ask("settled", &one.loaded); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// take is one turn of one server.
func (s *subject) take(ctx context.Context, l load, length time.Duration) error {
	var before, after usage
	if err := s.ask("now", &before); err != nil {
		return err
	}
	sent := l.send(ctx, length)
	var rested bool
	if err := errors.Join(s.ask("rest", &rested), s.ask("now", &after)); err != nil {
		return err
	}
	if n := len(sent.took); n > 0 {
		s.transaction = append(s.transaction, (after.Processor-before.Processor)/time.Duration(n))
	}
	s.sent.add(sent)
	return nil
}

// profile asks all to begin, end or take a profile, if that is wanted.
func (s *soak) profile(subjects []*subject, question, name string) error {
	if s.profiles == "" {
		return nil
	}
	for _, one := range subjects {
		var done bool
		file := filepath.Join(s.profiles, one.name+"."+name+".pprof")
		if err := one.ask(question+" "+file, &done); err != nil {
			return err
		}
	}
	return nil
}

// leave hangs up, and looks at what is left; then all come and go once more,
// for what is left by them is what nobody gives back, and not what the runtime
// keeps for the next.
func (s *soak) leave(ctx context.Context, subjects []*subject) error {
	if err := subjects[0].count(); err != nil {
		return err
	}
	for _, one := range subjects {
		if err := errors.Join(one.leave(ctx), one.ask("settled", &one.end)); err != nil {
			return err
		}
	}
	if err := s.profile(subjects, "memory", "left"); err != nil {
		return err
	}
	for _, one := range subjects {
		s.say("%s: all come and go once more", one.name)
		var err error
		if one.holder, err = launch("holder"); err != nil {
			return err
		}
		var held int
		err = errors.Join(one.keep("smtp", 1+one.smtpIdle, &held), one.keep("imap", 1+one.imapIdle, &held),
			one.leave(ctx), one.ask("settled", &one.again))
		if err != nil {
			return err
		}
	}
	return nil
}

// count looks whether overstay has the idle sessions still.
func (s *subject) count() error {
	if err := s.ask("pools", &s.pools); err != nil {
		return err
	}
	s.lost = s.smtpIdle + s.imapIdle + 2 // With the first of each.
	for _, p := range s.pools {
		s.lost -= p.Busy
	}
	return nil
}

func (s *subject) leave(ctx context.Context) error { return errors.Join(s.hangUp(), s.empty(ctx)) }

// empty waits until no thread of overstay is held, or it takes too long.
func (s *subject) empty(ctx context.Context) error {
	if s.name != "overstay" {
		return nil // It has no pools.
	}
	for deadline := time.Now().Add(emptyTime); ; {
		if err := s.ask("pools", &s.pools); err != nil {
			return err
		}
		held := slices.ContainsFunc(s.pools, func(p pool) bool { return p.Busy > 0 })
		if !held || time.Now().After(deadline) || !sleepUntil(ctx, time.Now().Add(settleTime)) {
			return ctx.Err()
		}
	}
}
