package formats

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// now is when the tests' logs are read.
func now() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }

// told is what a parser makes of lines, one short line for each event, and
// what it says of those that give none.
func told(t *testing.T, name string, o Options, lines ...string) string {
	t.Helper()
	f, ok := ByName(name)
	if !ok {
		t.Fatalf("no format %q", name)
	}
	p := f.NewParser(o)
	var b strings.Builder
	for _, line := range lines {
		err := p.Parse([]byte(line), func(e *connlog.Event) { b.WriteString(short(e)) })
		switch {
		case err == nil, errors.Is(err, ErrSkip):
		default:
			fmt.Fprintf(&b, "! %v\n", err)
		}
	}
	return b.String()
}

// short is an event in a few words.
func short(e *connlog.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s #%d", e.Time.Format("0102 15:04:05.000"), e.Kind, e.Service, e.Conn)
	if e.ClientIP.IsValid() {
		fmt.Fprintf(&b, " %v", e.ClientIP)
	}
	if e.ClientPort != 0 {
		fmt.Fprintf(&b, ":%d", e.ClientPort)
	}
	if e.Threads != 0 {
		fmt.Fprintf(&b, " %d/%d", e.Busy, e.Threads)
	}
	if e.Count > 1 {
		fmt.Fprintf(&b, " %d times", e.Count)
	}
	b.WriteString(word(string(e.By)) + word(string(e.What)) + word(string(e.Reason)))
	if e.User != "" {
		fmt.Fprintf(&b, " %q", e.User)
	}
	if e.Kind == connlog.Close {
		fmt.Fprintf(&b, " held=%v proven=%v fails=%d%s", e.Held, e.Proven, e.Fails, word(string(e.End)))
	}
	return b.String() + "\n"
}

func word(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func TestSamples(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.format+"/"+s.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimPrefix(s.lines, "\n"), "\n")
			got := told(t, s.format, Options{Now: now()}, lines...)
			if want := strings.TrimPrefix(s.want, "\n"); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// TestDetect wants each sample taken for what it is, but for those that are
// nobody's.
func TestDetect(t *testing.T) {
	for _, s := range samples() {
		if strings.TrimSpace(s.want) == "" {
			continue
		}
		if f, ok := Detect([]byte(strings.TrimPrefix(s.lines, "\n") + "\n")); !ok || f.Name != s.format {
			t.Errorf("%s/%s is taken for %q", s.format, s.name, f.Name)
		}
	}
	for _, other := range []string{"", "\n\n", "hello\nworld\n", "\x00\x01\x02\n", `{"a":1}` + "\n", strings.Repeat("x", 100_000)} {
		if f, ok := Detect([]byte(other)); ok {
			t.Errorf("%.20q is taken for %q", other, f.Name)
		}
	}
}

func TestOptions(t *testing.T) {
	p, _ := ByName("postfix")
	var got connlog.Event
	parser := p.NewParser(Options{Now: now(), Service: "mail", Boot: "b", FirstConn: 7, Location: time.FixedZone("", 3600)})
	if err := parser.Parse([]byte("Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]\r\n"), func(e *connlog.Event) { got = *e }); err != nil {
		t.Fatal(err)
	}
	if got.Service != "mail" || got.Boot != "b" || got.Conn != 7 || !got.Time.Equal(time.Date(2026, 11, 23, 11, 35, 16, 0, time.UTC)) {
		t.Errorf("got %+v", got)
	}
	if n := parser.Open(); n != 1 {
		t.Errorf("%d open at the end, want 1", n)
	}
}

// TestEventsCanBeWritten puts each event into the connection log and back.
func TestEventsCanBeWritten(t *testing.T) {
	for _, s := range samples() {
		f, _ := ByName(s.format)
		p := f.NewParser(Options{Now: now(), Boot: "b"})
		for line := range strings.Lines(s.lines) {
			_ = p.Parse([]byte(line), func(e *connlog.Event) {
				var parser connlog.Parser
				var back connlog.Event
				text := connlog.Append(nil, e)
				if err := parser.Parse(bytes.TrimSpace(text), &back); err != nil || short(&back) != short(e) {
					t.Errorf("%s: %s comes back as %s (%v)", s.format, short(e), short(&back), err)
				}
			})
		}
	}
}

// TestNobodyBelieves durations that cannot be.
func TestNobodyBelieves(t *testing.T) {
	for format, line := range map[string]string{
		"squid":      `1795437328.810 999999999999999999 192.0.2.22 TCP_MISS/200 20 GET http://x/ - HIER_DIRECT/192.0.2.1 text/plain`,
		"haproxy":    `192.0.2.22:1 [23/Nov/2026:12:35:28.810] raw t/n2 1/0/999999999999999999 255 -- 1/1/0/0/0 0/0`,
		"nginx-time": `192.0.2.22 - - [23/Nov/2026:12:35:28 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 999999999999.000`,
		"endlessh":   `2026-11-23T12:35:28.810Z CLOSE host=192.0.2.22 port=1 fd=5 time=999999999999.000 bytes=410`,
	} {
		got := told(t, format, Options{Now: now()}, line)
		refused := got == "! "+ErrMalformed.Error()+"\n"
		instant := strings.Contains(got, "1123 12:35:28") && strings.Contains(got, "held=0s")
		if !refused && !instant {
			t.Errorf("%s: got %s", format, got)
		}
	}
}

// TestLongNames cuts what a stranger made long, and mends what is no UTF-8.
func TestLongNames(t *testing.T) {
	f, _ := ByName("vsftpd")
	var users []string
	p := f.NewParser(Options{})
	for _, user := range []string{strings.Repeat("x", 600), "a\xffb"} {
		line := `Mon Nov 23 12:35:39 2026 [pid 1] [` + user + `] FAIL LOGIN: Client "203.0.113.15"`
		if err := p.Parse([]byte(line), func(e *connlog.Event) { users = append(users, e.User) }); err != nil {
			t.Fatal(err)
		}
	}
	if len(users) != 2 || users[0] != strings.Repeat("x", 512) || users[1] != "a\uFFFDb" {
		t.Errorf("got %q", users)
	}
}

// TestFormatsSayWhatTheyGive holds the table of formats against what they do.
func TestFormatsSayWhatTheyGive(t *testing.T) {
	names := map[string]bool{}
	for _, f := range All() {
		if names[f.Name] || f.Meaning == "" || f.Gives.Clock == 0 || f.Gives.Note == "" {
			t.Errorf("%q: there twice, or without words", f.Name)
		}
		names[f.Name] = true
		var all strings.Builder
		for _, s := range samples() {
			if s.format == f.Name {
				all.WriteString(s.want)
			}
		}
		lasting := false
		for line := range strings.Lines(all.String()) {
			lasting = lasting || strings.Contains(line, "held=") && !strings.Contains(line, "held=0s")
		}
		says := func(what string, want, got bool) {
			if want != got {
				t.Errorf("%s says %v of %s, its samples %v", f.Name, want, what, got)
			}
		}
		if f.Name == "syslog" {
			continue // as much as its programs
		}
		says("opens", f.Gives.Opens, strings.Contains(all.String(), " open "))
		says("durations", f.Gives.Durations, lasting)
		says("outcomes", f.Gives.Outcomes, strings.Contains(all.String(), " fail ") || strings.Contains(all.String(), " proven "))
		says("refusals", f.Gives.Refusals, strings.Contains(all.String(), " refuse "))
	}
}
