package formats

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"overstay/connlog"
)

// hub holds CrowdSec's own parser tests. They are not part of this repository.
const hub = "../../../shared/data/crowdsec-hub"

// TestHubSamples scores the readers by the lines that CrowdSec's are tested
// with. Where a proxy's header names somebody, CrowdSec takes that one and we
// take the peer: a header is a stranger's.
func TestHubSamples(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(hub, "*.expected.json"))
	if err != nil || len(names) == 0 {
		t.Skipf("no samples at %s: they are no part of the repository", hub)
	}
	format := map[string]string{
		"apache2-logs": "combined", "aws-alb-logs": "aws-alb", "caddy-logs": "caddy", "dovecot-logs": "dovecot", "endlessh-logs": "endlessh",
		"envoy-logs": "envoy", "haproxy-logs": "haproxy", "postfix-logs": "postfix", "proftpd-logs": "proftpd", "sshd-logs": "openssh",
		"sshd-success-logs": "openssh", "suricata-logs-evelog": "suricata", "traefik_clf": "combined", "traefik_json": "traefik", "vsftpd-logs": "vsftpd",
	}
	headers := map[string]bool{"caddy-logs": true, "envoy-logs": true, "traefik_json": true}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var test struct {
			Test   string `json:"test"`
			Events []struct {
				Index   int    `json:"index"`
				Source  string `json:"source_ip"`
				Message string `json:"message"`
			} `json:"expected_parse_events"`
		}
		if err := json.Unmarshal(text, &test); err != nil {
			t.Fatal(err)
		}
		f, ok := ByName(format[test.Test])
		if !ok {
			continue
		}
		log, err := os.ReadFile(strings.TrimSuffix(name, ".expected.json") + ".log")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(log), "\n")
		p := f.NewParser(Options{Now: now()})
		told := make([]string, len(lines))
		for i, line := range lines {
			_ = p.Parse([]byte(line), func(e *connlog.Event) { told[i] = e.ClientIP.String() })
		}
		right, wrong := 0, 0
		for _, e := range test.Events {
			if e.Index >= len(told) || e.Source == "" {
				continue
			}
			switch got := told[e.Index]; {
			case got == strings.TrimPrefix(e.Source, "::ffff:"):
				right++
			case got == "":
				t.Logf("%s: not told: %.200s", test.Test, lines[e.Index])
			default:
				wrong++
				t.Logf("%s: %s instead of %s: %.200s", test.Test, got, e.Source, lines[e.Index])
			}
		}
		if wrong > 0 && !headers[test.Test] {
			t.Errorf("%s: %d lines are given to somebody else", test.Test, wrong)
		}
		t.Logf("%-22s %3d events, %3d with that source, %3d with another", test.Test, len(test.Events), right, wrong)
	}
}
