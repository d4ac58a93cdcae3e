package formats

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// hub holds CrowdSec's own parser tests. They are not part of this repository.
const hub = "../../../shared/data/crowdsec-hub"

// hubFormats are the formats of CrowdSec's tests.
var hubFormats = map[string][]string{
	"apache2-logs": {"combined", "vhost", "apache-error"}, "aws-alb-logs": {"aws-alb"}, "caddy-logs": {"caddy"}, "cowrie-logs": {"cowrie-text"}, "dovecot-logs": {"dovecot"},
	"endlessh-logs": {"endlessh"}, "envoy-logs": {"envoy"}, "haproxy-logs": {"haproxy"}, "postfix-logs": {"postfix"}, "proftpd-logs": {"proftpd"}, "sshd-logs": {"openssh"},
	"sshd-success-logs": {"openssh"}, "suricata-logs-evelog": {"suricata"}, "tcpudp-flood-traefik": {"traefik-tcp"}, "traefik_clf": {"combined"}, "traefik_json": {"traefik"}, "vsftpd-logs": {"vsftpd"},
}

// hubOthers is the number of lines of which we say something else, and why.
var hubOthers = map[string]int{
	"caddy-logs":           3, // CrowdSec takes the address out of a header, which is a stranger's; we take the peer
	"traefik_json":         1, // the same
	"envoy-logs":           4, // text, which names no peer but only a header
	"suricata-logs-evelog": 4, // alerts, which are no connections
}

// TestHubSamples scores the readers by the lines that CrowdSec's are tested
// with: source and time of each.
func TestHubSamples(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(hub, "*.expected.json"))
	if err != nil || len(names) == 0 {
		t.Skipf("no samples at %s: they are no part of the repository", hub)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var test hubTest
		if err := json.Unmarshal(text, &test); err != nil {
			t.Fatal(err)
		}
		if hubFormats[test.Test] == nil {
			if len(test.Events) > 0 {
				t.Errorf("%s: nobody says what it is", test.Test)
			}
			continue
		}
		log, err := os.ReadFile(strings.TrimSuffix(name, ".expected.json") + ".log")
		if err != nil {
			t.Fatal(err)
		}
		test.score(t, strings.Split(string(log), "\n"))
	}
}

type hubTest struct {
	Test   string `json:"test"`
	Events []struct {
		Index  int    `json:"index"`
		Source string `json:"source_ip"`
	} `json:"expected_parse_events"`
}

func (h *hubTest) score(t *testing.T, lines []string) {
	var parsers []*Parser
	for _, name := range hubFormats[h.Test] {
		f, ok := ByName(name)
		if !ok {
			t.Fatal(name)
		}
		parsers = append(parsers, f.NewParser(Options{Now: now()}))
	}
	told := make([][]connlog.Event, len(lines))
	for i, line := range lines {
		for _, p := range parsers {
			err := p.Parse([]byte(line), func(e *connlog.Event) { told[i] = append(told[i], *e) })
			if about, ok := errors.AsType[*Named](err); ok {
				told[i] = append(told[i], connlog.Event{ClientIP: about.Client, Time: about.Time})
			}
			if len(told[i]) > 0 {
				break
			}
		}
	}
	right, other := 0, 0
	for _, e := range h.Events {
		source := strings.TrimPrefix(e.Source, "::ffff:")
		is := func(got connlog.Event) bool { return got.ClientIP.String() == source }
		switch got := told[e.Index]; {
		case len(got) > 0 && !slices.ContainsFunc(got, func(e connlog.Event) bool { return !is(e) }):
			right++
			if !timed(lines[e.Index], got) {
				t.Errorf("%s: at %v: %s", h.Test, got[0].Time, lines[e.Index])
			}
		default:
			other++
			t.Logf("%s: not told: %.200s", h.Test, lines[e.Index])
		}
	}
	t.Logf("%-22s %3d lines, %3d of that source and time, %d not", h.Test, len(h.Events), right, other)
	if other != hubOthers[h.Test] {
		t.Errorf("%s: of %d lines something else is told, want %d", h.Test, other, hubOthers[h.Test])
	}
}

// stamped finds the stamps of lines, slowly, and layouts reads them.
var (
	stamped = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:?\d\d)?|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d( [+-]\d{4})?|[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d(\.\d+)?( \d{4})?|"ts":\d{10}|\bI\d{4} \d\d:\d\d:\d\d`)
	layouts = []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "02/Jan/2006:15:04:05 -0700", "02/Jan/2006:15:04:05",
		"Jan _2 15:04:05 2006", "Jan 2 15:04:05 2006", "Jan _2 15:04:05", "Jan 2 15:04:05", "I0102 15:04:05",
	}
)

// timed says whether one of the events is at a time that stands in the line,
// to the second, in any year if it has none.
func timed(line string, events []connlog.Event) bool {
	for _, text := range stamped.FindAllString(line, -1) {
		at := time.Time{}
		if digits, ok := strings.CutPrefix(text, `"ts":`); ok {
			n, _ := strconv.ParseInt(digits, 10, 64)
			at = time.Unix(n, 0)
		}
		for _, layout := range layouts {
			if t, err := time.Parse(layout, strings.Replace(text, ",", ".", 1)); err == nil {
				at = t
				break
			}
		}
		for _, e := range events {
			if at.Year() == 0 {
				at = at.AddDate(e.Time.Year(), 0, 0)
			}
			if e.Time.Truncate(time.Second).Equal(at.UTC().Truncate(time.Second)) {
				return true
			}
		}
	}
	return false
}
