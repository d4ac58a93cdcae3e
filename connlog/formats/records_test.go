package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// records are fail2ban's own test lines, with the host and time that each is
// to be attributed to. They are not part of this repository.
const records = "../../../shared/data/fail2ban/records.jsonl"

type record struct {
	Service string `json:"service"`
	Block   string `json:"block"` // lines of one block are one log
	Line    string `json:"line"`
	Match   bool   `json:"match"`
	Host    string `json:"host"`
	Time    string `json:"time"`
}

// recordFormats are the formats in which the services that are read here log,
// by the beginning of a service's name.
func recordFormats(service string) []string {
	for _, of := range []struct {
		service string
		formats []string
	}{
		{"sshd", []string{"openssh"}},
		{"postfix", []string{"postfix"}},
		{"dovecot", []string{"dovecot"}},
		{"exim", []string{"exim"}},
		{"vsftpd", []string{"vsftpd"}},
		{"proftpd", []string{"proftpd"}},
		{"nginx", []string{"nginx-error", "combined"}},
		{"apache", []string{"apache-error", "combined", "vhost"}},
		{"php-url-fopen", []string{"combined"}},
		{"traefik-auth", []string{"combined"}},
		{"haproxy", []string{"haproxy"}},
		{"squid", []string{"squid"}},
		{"cowrie", []string{"cowrie"}},
	} {
		if strings.HasPrefix(service, of.service) {
			return of.formats
		}
	}
	return nil
}

// notTold are the services of whose lines fewer are told, and why.
var notTold = map[string]float64{
	"nginx-http-auth":      0.9,  // a line with two clients, either of which may be forged
	"apache-fakegooglebot": 0.49, // a LogFormat of somebody's own: Layout reads it
}

// otherTime are the services whose lines have a better time than the one that
// fail2ban takes.
var otherTime = map[string]string{
	"haproxy-http-auth": "the accept date has a year",
	"cowrie":            "the stamp has a zone",
}

// TestRecords scores the readers by other people's tests: no line may be given
// to a host that it is not of.
func TestRecords(t *testing.T) {
	scores := map[string]*recordScore{}
	for _, block := range recordBlocks(t) {
		s := scores[block[0].Service]
		if s == nil {
			s = &recordScore{}
			scores[block[0].Service] = s
		}
		s.read(t, block)
	}
	all := &recordScore{}
	for _, name := range slices.Sorted(maps.Keys(scores)) {
		s := scores[name]
		t.Logf("%-22s %3d lines, %3d hosts (%3d by name alone), %3d times", name, s.lines, s.hosts, s.alone, s.times)
		least := 0.95
		if l, ok := notTold[name]; ok {
			least = l
		}
		if share := float64(s.hosts) / float64(s.lines); share < least || s.times < s.hosts {
			t.Errorf("%s: %.2f of the lines are told, want %.2f", name, share, least)
		}
		all.lines, all.hosts, all.alone, all.times = all.lines+s.lines, all.hosts+s.hosts, all.alone+s.alone, all.times+s.times
	}
	t.Logf("%-22s %3d lines, %3d hosts (%3d by name alone), %3d times", "all", all.lines, all.hosts, all.alone, all.times)
	if float64(all.hosts) < 0.95*float64(all.lines) || all.lines < 250 {
		t.Errorf("of %d lines %d are told", all.lines, all.hosts)
	}
}

// recordBlocks returns the records that are of a service that is read here.
func recordBlocks(t *testing.T) (blocks [][]record) {
	text, err := os.ReadFile(records)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no records at %s: they are no part of the repository", records)
	}
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if recordFormats(r.Service) == nil {
			continue
		}
		if n := len(blocks); n > 0 && blocks[n-1][0].Block == r.Block {
			blocks[n-1] = append(blocks[n-1], r)
		} else {
			blocks = append(blocks, []record{r})
		}
	}
	return blocks
}

// recordScore counts the lines that fail2ban matches and names an address of,
// those of them that are told of that host, by an event or, if another line
// tells of the same, by Named alone, and those told at that time.
type recordScore struct{ lines, hosts, alone, times int }

// read reads a block. Each line is of the first format that knows it.
func (s *recordScore) read(t *testing.T, block []record) {
	zurich := zone(t, "Europe/Zurich")
	var parsers []*Parser
	for _, name := range recordFormats(block[0].Service) {
		f, ok := ByName(name)
		if !ok {
			t.Fatal(name)
		}
		parsers = append(parsers, f.NewParser(Options{Now: time.Date(2005, 8, 14, 12, 0, 0, 0, zurich), Location: zurich}))
	}
	for _, r := range block {
		line := r.Line
		if strings.HasPrefix(line, "srv sshd[") || strings.HasPrefix(line, "host nginx[") {
			line = "Aug 14 11:59:59 " + line // out of the journal, which keeps the time elsewhere
		}
		var told []connlog.Event
		var perr error
		for _, p := range parsers {
			perr = p.Parse([]byte(line), func(e *connlog.Event) { told = append(told, *e) })
			if !errors.Is(perr, ErrMalformed) && !errors.Is(perr, ErrForeign) {
				break
			}
		}
		if about, ok := errors.AsType[*Named](perr); ok {
			told = append(told, connlog.Event{ClientIP: about.Client, Time: about.Time})
		}
		s.judge(t, &r, told, perr, zurich)
	}
}

func (s *recordScore) judge(t *testing.T, r *record, told []connlog.Event, perr error, zurich *time.Location) {
	want, err := netip.ParseAddr(r.Host)
	host := false
	for _, e := range told {
		switch {
		case !e.ClientIP.IsValid() || err != nil:
		case e.ClientIP == want.Unmap():
			host = true
		default:
			t.Errorf("%s: %v instead of %v: %s", r.Service, e.ClientIP, want, r.Line)
		}
	}
	if !r.Match || err != nil {
		return // of a host that is a name, nothing can be said
	}
	s.lines++
	if !host {
		t.Logf("%s: not told (%v): %s", r.Service, perr, r.Line)
		return
	}
	s.hosts++
	if _, ok := errors.AsType[*Named](perr); ok {
		s.alone++
	}
	if r.Time == "" || otherTime[r.Service] != "" {
		s.times++
		return
	}
	at, err := time.ParseInLocation("2006-1-2T15:04:05", strings.TrimSuffix(r.Time, ".000"), zurich)
	if r.Block == "dovecot#0" {
		at = at.Add(-10 * time.Second) // TAI64N is ahead of UTC, and fail2ban does not know
	}
	if err != nil || !slices.ContainsFunc(told, func(e connlog.Event) bool { return e.Time.Truncate(time.Second).Equal(at) }) {
		t.Errorf("%s: at %v, want %v: %s", r.Service, told[0].Time, at, r.Line)
		return
	}
	s.times++
}
