package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report is what was measured.
type report struct {
	soak     *soak
	subjects []*subject
}

// errSoak is the error of a server that is not as it should be.
var errSoak = errors.New("the server failed")

const (
	// leftBytes is how much memory may stay behind each session that came and
	// went, beside what the runtime keeps for the next one.
	leftBytes = 512
	// leftSessions is from which number on that is more than chance.
	leftSessions = 10_000
)

// complaint returns what is wrong: refusals, errors, threads or memory that
// did not come back.
func (r *report) complaint() error {
	var all []error
	for _, s := range r.subjects {
		if s.sent.errors > 0 {
			all = append(all, fmt.Errorf("%w: %s: %d transactions: %w", errSoak, s.name, s.sent.errors, s.sent.first))
		}
		if n := s.smtpIdle + s.imapIdle - s.heldSMTP - s.heldIMAP; n > 0 {
			all = append(all, fmt.Errorf("%w: %s: %d idle sessions could not be opened", errSoak, s.name, n))
		}
		if s.lost != 0 {
			all = append(all, fmt.Errorf("%w: %s: %d idle sessions were lost", errSoak, s.name, s.lost))
		}
		for _, p := range s.pools {
			if p.Busy > 0 || p.refused() > 0 {
				all = append(all, fmt.Errorf("%w: %s: %d threads held, %d refused", errSoak, p.Service, p.Busy, p.refused()))
			}
		}
	}
	ours := r.subjects[0]
	if left := ours.again.Resident - ours.end.Resident; left > int64(max(leftSessions, r.soak.idle))*leftBytes {
		all = append(all, fmt.Errorf("%w: %s of memory stayed", errSoak, mega(left)))
	}
	return errors.Join(all...)
}

// perSession returns the memory of an idle session of each service.
func (s *subject) perSession() (smtp, imap float64) {
	return each(s.smtp.Resident-s.start.Resident, s.heldSMTP), each(s.imap.Resident-s.smtp.Resident, s.heldIMAP)
}

func each(bytes int64, sessions int) float64 {
	if sessions == 0 {
		return 0
	}
	return float64(bytes) / 1024 / float64(sessions)
}

// ratio returns how many times the processor time of another server a
// transaction takes here: the median over the turns.
func (s *subject) ratio(other *subject) float64 {
	turns := min(len(s.transaction), len(other.transaction))
	if turns == 0 {
		return 0
	}
	all := make([]float64, turns)
	for i := range all {
		all[i] = float64(s.transaction[i]) / float64(other.transaction[i])
	}
	slices.Sort(all)
	return all[turns/2]
}

// processor returns the median time of a transaction.
func (s *subject) processor() time.Duration {
	if len(s.transaction) == 0 {
		return 0
	}
	all := slices.Sorted(slices.Values(s.transaction))
	return all[len(all)/2]
}

func (r *report) print(out io.Writer) {
	ours := r.subjects[0]
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what string, cell func(*subject) string) {
		_, _ = fmt.Fprint(w, what)
		for _, s := range r.subjects {
			_, _ = fmt.Fprint(w, "\t", cell(s))
		}
		_, _ = fmt.Fprintln(w)
	}
	line("", func(s *subject) string { return s.name })
	line("idle sessions (smtp, imap)", func(s *subject) string { return fmt.Sprintf("%d, %d", s.heldSMTP, s.heldIMAP) })
	line("memory of one, smtp", func(s *subject) string { smtp, _ := s.perSession(); return fmt.Sprintf("%.1f KB", smtp) })
	line("memory of one, imap", func(s *subject) string { _, imap := s.perSession(); return fmt.Sprintf("%.1f KB", imap) })
	line("transactions", func(s *subject) string { return fmt.Sprint(len(s.sent.took)) })
	line("a second", func(s *subject) string { return fmt.Sprintf("%.0f", s.sent.perSecond()) })
	line("errors", func(s *subject) string { return fmt.Sprint(s.sent.errors) })
	line("processor time of one", func(s *subject) string { return s.processor().Round(time.Microsecond).String() })
	line("overstay's, in times of it", func(s *subject) string { return fmt.Sprintf("%.2f", ours.ratio(s)) })
	for _, p := range []float64{50, 90, 99, 99.9, 100} {
		line(fmt.Sprintf("%v in 100 done within", p), func(s *subject) string {
			return s.sent.percentile(p).Round(10 * time.Microsecond).String()
		})
	}
	for _, part := range []struct {
		name string
		of   func(usage) int64
	}{
		{"heap", func(u usage) int64 { return u.Heap }}, {"stacks", func(u usage) int64 { return u.Stacks }},
	} {
		line("its "+part.name+", with the idle sessions, after", func(s *subject) string {
			start := part.of(s.start)
			return mega(part.of(s.imap)-start) + " more, " + mega(part.of(s.end)-start) + " more"
		})
	}
	line("memory at the start", func(s *subject) string { return mega(s.start.Resident) })
	line("with the idle sessions", func(s *subject) string { return mega(s.imap.Resident) })
	line("with them after the mail", func(s *subject) string { return mega(s.loaded.Resident) })
	line("after all have gone", func(s *subject) string { return mega(s.end.Resident) })
	line("after as many once more", func(s *subject) string { return mega(s.again.Resident) })
	line("goroutines then", func(s *subject) string {
		return fmt.Sprintf("%d, %d at the start", s.again.Goroutines, s.start.Goroutines)
	})
	_ = w.Flush() // Nobody listens, then.
	for _, p := range ours.pools {
		_, _ = fmt.Fprintf(out, "%s: %d connections, %d refused, %d threads held at the end\n", p.Service, p.Accepted, p.refused(), p.Busy)
	}
}

func mega(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }
