package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(context.Background(), role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestSoak is a short one, whose figures mean nothing but that all is counted.
func TestSoak(t *testing.T) {
	s := soak{
		idle: 21, rate: 40, senders: 4, size: 500, length: time.Second, turn: time.Second / 2, probe: time.Second / 10,
		folder: t.TempDir(), progress: t.Output(),
	}
	r, err := s.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.complaint(); err != nil {
		t.Error(err)
	}
	r.print(t.Output())
	for _, one := range r.subjects {
		if one.heldSMTP != 10 || one.heldIMAP != 11 {
			t.Errorf("%s: %d and %d idle sessions", one.name, one.heldSMTP, one.heldIMAP)
		}
		if len(one.transaction) != 2 || len(one.sent.took) == 0 || one.processor() <= 0 {
			t.Errorf("%s: %d turns with %d transactions, each %v", one.name, len(one.transaction), len(one.sent.took), one.processor())
		}
		if one.again.Resident == 0 || one.again.Goroutines == 0 || one.again.Heap == 0 {
			t.Errorf("%s used %+v", one.name, one.again)
		}
	}
	ours := r.subjects[0]
	if len(ours.pools) != 2 || ours.pools[0].Accepted < uint64(len(ours.sent.took)+2*11) {
		t.Errorf("the pools are %+v after %d transactions", ours.pools, len(ours.sent.took))
	}
	left, err := os.ReadDir(s.folder)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

func TestComplaint(t *testing.T) {
	for _, c := range []struct {
		name, want string
		spoil      func(*subject)
	}{
		{"all is well", "", func(*subject) {}},
		{"errors", "3 transactions", func(s *subject) { s.sent.errors, s.sent.first = 3, errNo }},
		{"sessions", "2 idle sessions", func(s *subject) { s.heldIMAP = 3 }},
		{"lost ones", "8 idle sessions were lost", func(s *subject) { s.lost = 8 }},
		{"threads", "4 threads held", func(s *subject) { s.pools = []pool{{Busy: 4}} }},
		{"refusals", "6 refused", func(s *subject) { s.pools = []pool{{RefusedBusy: 1, RefusedSessions: 2, RefusedBanned: 3}} }},
		{"memory", "of memory stayed", func(s *subject) { s.again.Resident = 100 << 20 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := &subject{process: &process{name: "overstay"}, smtpIdle: 5, imapIdle: 5, heldSMTP: 5, heldIMAP: 5}
			c.spoil(one)
			r := report{soak: &soak{idle: 10}, subjects: []*subject{one}}
			err := r.complaint()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the complaint is %v", err)
			}
		})
	}
}

func TestFiguresOfTurns(t *testing.T) {
	a := &subject{transaction: []time.Duration{300, 900, 500}}
	b := &subject{transaction: []time.Duration{100, 100, 250}}
	if got := a.ratio(b); got != 3 {
		t.Errorf("the median ratio is %v", got)
	}
	if got := a.processor(); got != 500 {
		t.Errorf("the median is %v", got)
	}
	if (&subject{}).ratio(b) != 0 || (&subject{}).processor() != 0 {
		t.Error("no turn is no figure")
	}
	o := outcome{took: []time.Duration{1, 2, 3, 4, 5}, length: 10}
	if o.percentile(50) != 3 || o.percentile(100) != 5 || (&outcome{}).percentile(50) != 0 {
		t.Error("a percentile is wrong")
	}
}

// BenchmarkSoak is a soak of half a minute with 2,000 idle sessions.
func BenchmarkSoak(b *testing.B) {
	s := soak{
		idle: 2000, rate: 500, senders: 32, size: 2048, length: 10 * time.Second, turn: 2 * time.Second, probe: time.Second,
		folder: b.TempDir(), progress: b.Output(),
	}
	if testing.Short() {
		s.idle, s.rate, s.length, s.turn, s.probe = 200, 100, 2*time.Second, 400*time.Millisecond, 200*time.Millisecond
	}
	for b.Loop() {
		r, err := s.run(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := r.complaint(); err != nil {
			b.Error(err)
		}
		ours, library, store := r.subjects[0], r.subjects[1], r.subjects[2]
		for name, one := range map[string]*subject{"": ours, "library-": library} {
			smtp, imap := one.perSession()
			b.ReportMetric(smtp, name+"smtp-KB")
			b.ReportMetric(imap, name+"imap-KB")
		}
		b.ReportMetric(float64(ours.processor().Microseconds()), "µs")
		b.ReportMetric(float64(library.processor().Microseconds()), "library-µs")
		b.ReportMetric(float64(store.processor().Microseconds()), "store-µs")
		b.ReportMetric(ours.ratio(library), "ours/library")
		b.ReportMetric(ours.ratio(store), "ours/store")
		b.ReportMetric(0, "ns/op")
	}
}
