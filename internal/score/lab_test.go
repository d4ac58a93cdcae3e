package score_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector"
)

// labDir holds the logs of one real attack, as eight servers saw it. They are
// not part of this repository.
const labDir = "../../../shared/data/lab-a"

// labLog is one of the logs.
type labLog struct {
	file   string
	format string // that it is to be known as
	// threads of each service: what the server's packages set, for no log but
	// endlessh's tells it. 0 is as many as the log tells.
	threads int
	because string
	must    []string // who is to be decided about, by the last number of the address
	missed  string   // why others are not
}

func labLogs() []labLog {
	const quiet = "nobody was refused, and a part of the pool was held for a minute"
	return []labLog{
		{"nginx-json.log.gz", "nginx-json", 768, "worker_connections of Debian", nil, quiet + "; a flood that is answered proves itself"},
		{"nginx-rt.log.gz", "nginx-time", 768, "worker_connections of Debian", nil, quiet + "; a flood that is answered proves itself"},
		{"nginx-access.log.gz", "combined", 768, "worker_connections of Debian", nil, "the log has no durations: nobody holds anything"},
		{"haproxy.log.gz", "haproxy", 500, "for each frontend, assumed", nil, quiet},
		{"mail.log.gz", "postfix", 100, "default_process_limit", []string{"26"}, quiet + "; accepted mail is proof, in bulk as well"},
		{"dovecot.log", "dovecot", 100, "process_limit of a login service", []string{"17"}, ""},
		{"auth.log", "openssh", 100, "MaxStartups", []string{"14"}, ""},
		{"auth-iso.log", "openssh", 100, "MaxStartups", []string{"14"}, ""},
		{"vsftpd.log", "vsftpd", 2000, "max_clients", []string{"15"}, ""},
		{"endlessh.log", "endlessh", 0, "MaxClients 4096, which the log tells", nil, quiet},
		{"squid-access.log", "squid", 1024, "file descriptors, assumed", nil, ""},
	}
}

// labClient is a label.
type labClient struct {
	Role      string `json:"role"`
	Malicious bool   `json:"malicious"`
}

// labRow is what one log has of one malicious client.
type labRow struct {
	conns, fails int
	held         time.Duration
	now, peak    int
	decided      string
	reach        int // threads of the largest pool for which it would be decided
}

// labSizes are the pools that are tried, since the size is ours and not the
// log's.
var labSizes = [...]int{50, 100, 200, 300, 500, 768, 1000, 1500, 2000, 4096}

// TestLab reads a real attack out of the logs of the servers that it was
// against, and lets the default policies judge it: for pools of any size
// nobody benign is decided about, and who guesses passwords always is.
func TestLab(t *testing.T) {
	roles, server := labRoles(t)
	t.Logf("%-18s %-8s %-3s %5s %6s %8s %5s %6s  %s", "log", "threads", "who", "conns", "fails", "held", "peak", "up to", "decision, of a pool of that size")
	for _, l := range labLogs() {
		t.Run(l.file, func(t *testing.T) { l.judge(t, roles, server) })
	}
}

func (l *labLog) judge(t *testing.T, roles map[netip.Addr]labClient, server netip.Addr) {
	lines := labLines(t, l.file)
	f, ok := formats.Detect([]byte(strings.Join(lines, "\n") + "\n"))
	if !ok || f.Name != l.format {
		t.Fatalf("taken for %q, want %q", f.Name, l.format)
	}
	events := labEvents(t, f, lines)
	rows := labRows(t, events, roles, server)
	for _, threads := range append(labSizes[:], l.threads) {
		for _, d := range labDecisions(t, events, threads) {
			row := rows[d.Source.Addr()]
			switch {
			case d.Source.Addr() == server: // that is for the guard of own addresses
			case row == nil || !d.Source.IsSingleIP():
				t.Errorf("%d threads: %s decided about %v: %s", threads, d.Policy, d.Source, roles[d.Source.Addr()].Role)
			case threads == l.threads && row.decided == "":
				row.decided = fmt.Sprintf("%s %s at %s", d.Action, d.Policy, d.At.Format("15:04:05"))
			default:
				row.reach = max(row.reach, threads)
			}
		}
	}
	for _, addr := range slices.SortedFunc(maps.Keys(rows), netip.Addr.Compare) {
		row, name := rows[addr], lastNumber(addr)
		if slices.Contains(l.must, name) && row.decided == "" {
			t.Errorf("no decision about %s: %s", name, roles[addr].Role)
		}
		t.Logf("%-18s %-8d .%-3s %4d %6d %7.0fs %5d %6d  %s", l.file, l.threads, name, row.conns, row.fails, row.held.Seconds(), row.peak, row.reach, row.decided)
	}
	t.Logf("%-18s threads: %s. Missed: %s", l.file, l.because, l.missed)
}

// labRows adds up what a log has of each malicious client.
func labRows(t *testing.T, events []connlog.Event, roles map[netip.Addr]labClient, server netip.Addr) map[netip.Addr]*labRow {
	t.Helper()
	rows := map[netip.Addr]*labRow{}
	for i := range events {
		e := &events[i]
		client, known := roles[e.ClientIP]
		if !known && e.ClientIP != server {
			t.Errorf("a source that was not there: %v", e.ClientIP)
		}
		if !client.Malicious {
			continue
		}
		if rows[e.ClientIP] == nil {
			rows[e.ClientIP] = &labRow{}
		}
		switch row := rows[e.ClientIP]; e.Kind {
		case connlog.Open:
			row.conns++
			row.now++
			row.peak = max(row.peak, row.now)
		case connlog.Close:
			row.now--
			row.held += e.Held
		case connlog.Fail:
			row.fails++
		}
	}
	return rows
}

func lastNumber(addr netip.Addr) string {
	s := addr.String()
	return s[strings.LastIndexByte(s, '.')+1:]
}

func labRoles(t *testing.T) (map[netip.Addr]labClient, netip.Addr) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(labDir, "roles.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the logs of the lab are not at %s: they are no part of the repository", labDir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var roles struct {
		Server  netip.Addr               `json:"server"`
		Clients map[netip.Addr]labClient `json:"clients"`
	}
	if err := json.Unmarshal(text, &roles); err != nil {
		t.Fatal(err)
	}
	return roles.Clients, roles.Server
}

func labLines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(labDir, name))
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(text)
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	s := bufio.NewScanner(r)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return lines
}

// labEvents turns a log into events in the order of time.
func labEvents(t *testing.T, f formats.Format, lines []string) []connlog.Event {
	t.Helper()
	var events []connlog.Event
	order := formats.NewOrder(formats.OrderOptions{}, func(e *connlog.Event) { events = append(events, *e) })
	p := f.NewParser(formats.Options{Now: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), Boot: "lab"})
	for _, line := range lines {
		err := p.Parse([]byte(line), order.Add)
		if err != nil && !errors.Is(err, formats.ErrSkip) {
			t.Errorf("%v: %s", err, line)
		}
	}
	order.Flush()
	if len(events) == 0 {
		t.Fatal("no events")
	}
	if n := p.Open(); n != 0 {
		t.Errorf("%d connections are open at the end", n)
	}
	return events
}

// labDecisions is what the default policies make of a log whose services have
// so many threads each; 0: as many as the log tells.
func labDecisions(t *testing.T, events []connlog.Event, threads int) []detector.Decision {
	t.Helper()
	d, err := detector.New(detector.Options{Policies: detector.DefaultPolicies()})
	if err != nil {
		t.Fatal(err)
	}
	begin := connlog.Event{Kind: connlog.Start, Time: events[0].Time, Boot: events[0].Boot}
	known := map[string]bool{}
	for i := range events {
		if s := events[i].Service; threads > 0 && s != "" && !known[s] {
			known[s] = true
			begin.Services = append(begin.Services, connlog.Service{Service: s, Threads: threads})
		}
	}
	all := slices.Clone(d.Observe(&begin))
	for i := range events {
		e := events[i]
		if threads > 0 {
			e.Busy, e.Threads = 0, 0
		}
		all = append(all, d.Observe(&e)...)
	}
	return append(all, d.Advance(events[len(events)-1].Time.Add(time.Minute))...)
}
