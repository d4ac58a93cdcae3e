package score_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
)

// squeeze plays a log through pools of so many threads for each service: who
// comes while all are held is refused, does nothing else, and does not return.
func squeeze(events []connlog.Event, threads int) []connlog.Event {
	busy := map[string]int{}
	open := map[uint64]bool{}
	var out []connlog.Event
	for _, e := range events {
		switch e.Kind {
		case connlog.Open:
			if busy[e.Service] >= threads {
				e.Kind, e.Reason, e.Count, e.Conn = connlog.Refuse, connlog.RefuseBusy, 1, 0
				e.Busy, e.Threads = busy[e.Service], threads
				break
			}
			busy[e.Service]++
			open[e.Conn] = true
			e.Busy, e.Threads = busy[e.Service], threads
		case connlog.Close, connlog.Proven, connlog.Fail:
			if e.Conn != 0 && !open[e.Conn] {
				continue // of one that was refused
			}
			if e.Kind == connlog.Close {
				delete(open, e.Conn)
				busy[e.Service]--
			}
		}
		out = append(out, e)
	}
	return out
}

// TestLabInASmallPool puts the same attack to servers that it fills. The real
// ones were too large for that, and refused nobody: so this is where it shows
// whether those are found who cost others their place.
func TestLabInASmallPool(t *testing.T) {
	roles, _ := labRoles(t)
	t.Logf("%-18s %7s %9s %8s  %s", "log", "threads", "refusals", "benign", "decided about")
	for _, l := range []struct {
		file    string
		threads int
		must    []string
	}{
		{"nginx-json.log.gz", 250, []string{"11"}},
		{"nginx-json.log.gz", 50, []string{"11"}},
		{"nginx-rt.log.gz", 250, []string{"11"}},
		{"haproxy.log.gz", 100, []string{"12", "19"}},
		{"haproxy.log.gz", 40, []string{"12", "19"}},
		{"mail.log.gz", 40, []string{"16", "26"}},
		{"mail.log.gz", 20, []string{"16", "26"}},
	} {
		lines := labLines(t, l.file)
		f, _ := formats.Detect([]byte(strings.Join(lines, "\n") + "\n"))
		events := squeeze(labEvents(t, f, lines), l.threads)
		refusals, benign := 0, 0
		first := map[netip.Addr]time.Time{}
		for i := range events {
			if addr := events[i].ClientIP; first[addr].IsZero() {
				first[addr] = events[i].Time
			}
			if events[i].Kind == connlog.Refuse {
				refusals++
				if !roles[events[i].ClientIP].Malicious {
					benign++
				}
			}
		}
		found := map[netip.Addr]string{}
		var told []string
		for _, d := range labDecisions(t, events, 0) {
			addr := d.Source.Addr()
			if !roles[addr].Malicious || !d.Source.IsSingleIP() {
				t.Errorf("%s, %d threads: %s decided about %v: %s", l.file, l.threads, d.Policy, d.Source, roles[addr].Role)
			}
			if found[addr] == "" {
				found[addr] = fmt.Sprintf(".%s %s after %.0f s", lastNumber(addr), d.Policy, d.At.Sub(first[addr]).Seconds())
				told = append(told, found[addr])
			}
		}
		for _, name := range l.must {
			if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "."+name+" ") }) {
				t.Errorf("%s, %d threads: nothing is decided about .%s", l.file, l.threads, name)
			}
		}
		t.Logf("%-18s %7d %9d %8d  %s", l.file, l.threads, refusals, benign, strings.Join(told, ", "))
	}
}
