package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

// records are fail2ban's own test lines, with the host and time that each is
// to be attributed to. They are not part of this repository.
const records = "../../../shared/data/fail2ban/records.jsonl"

type record struct {
	Service string `json:"service"`
	Line    string `json:"line"`
	Match   bool   `json:"match"`
	Host    string `json:"host"`
	Time    string `json:"time"`
}

// recordFormats are the formats of those services that are read here.
func recordFormats() map[string]string {
	return map[string]string{
		"sshd": "openssh", "postfix": "postfix", "dovecot": "dovecot", "exim": "exim", "exim-spam": "exim", "vsftpd": "vsftpd", "proftpd": "proftpd",
		"haproxy-http-auth": "haproxy", "nginx-bad-request": "combined", "nginx-botsearch": "combined", "apache-badbots": "combined",
		"apache-fakegooglebot": "combined", "apache-pass": "combined", "php-url-fopen": "combined", "squid": "squid", "selinux-ssh": "openssh",
	}
}

// TestRecords scores the readers by other people's tests: no line may be given
// to a host that it is not of.
func TestRecords(t *testing.T) {
	text, err := os.ReadFile(records)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no records at %s: they are no part of the repository", records)
	}
	if err != nil {
		t.Fatal(err)
	}
	zurich := zone(t, "Europe/Zurich")
	type score struct{ lines, host, time int }
	scores := map[string]*score{}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		name := recordFormats()[r.Service]
		f, ok := ByName(name)
		if !ok {
			continue
		}
		var times []time.Time
		right := false
		want, err := netip.ParseAddr(r.Host)
		p := f.NewParser(Options{Now: time.Date(2005, 8, 14, 12, 0, 0, 0, zurich), Location: zurich})
		perr := p.Parse([]byte(r.Line), func(e *connlog.Event) {
			times = append(times, e.Time)
			switch {
			case e.ClientIP == want.Unmap():
				right = true
			case e.ClientIP.IsValid() && err == nil:
				t.Errorf("%s: %v instead of %v: %s", r.Service, e.ClientIP, want, r.Line)
			}
		})
		if !r.Match || err != nil {
			continue // of a host that is a name, nothing can be said
		}
		if scores[r.Service] == nil {
			scores[r.Service] = &score{}
		}
		scores[r.Service].lines++
		if right {
			scores[r.Service].host++
			at, err := time.ParseInLocation("2006-01-02T15:04:05", r.Time, zurich)
			// HAProxy writes the year, which fail2ban does not look at.
			if err != nil || name == "haproxy" || slices.ContainsFunc(times, func(t time.Time) bool { return t.Truncate(time.Second).Equal(at) }) {
				scores[r.Service].time++
			} else {
				t.Errorf("%s: at %v, want %v: %s", r.Service, times, at, r.Line)
			}
		} else {
			t.Logf("%s: not told (%v): %s", r.Service, perr, r.Line)
		}
	}
	// Not told are lines that repeat what another line says of the same login,
	// and what is no sign of a connection's end or failure.
	least := map[string]float64{"sshd": 0.7, "postfix": 0.85, "dovecot": 0.65, "exim": 0.85, "proftpd": 1, "nginx-bad-request": 1, "haproxy-http-auth": 1, "squid": 1}
	for name, s := range scores {
		t.Logf("%-22s %3d lines, %3d hosts, %3d times", name, s.lines, s.host, s.time)
		if share := float64(s.host) / float64(s.lines); share < least[name] {
			t.Errorf("%s: %.2f of the lines are told, want %.2f", name, share, least[name])
		}
	}
}
