package formats

import (
	"strings"
	"testing"
	"time"
)

func TestSeen(t *testing.T) {
	many := func(line string) string { return strings.Repeat(line+"\n", 30) }
	for _, x := range []struct {
		name, format, head string
		opens, durations   bool
		clock              time.Duration
	}{
		{"sshd at its default level", "openssh", many(`Nov 23 12:35:33 vm sshd[1]: Failed password for root from 192.0.2.21 port 40101 ssh2`), false, false, time.Second},
		{"sshd at VERBOSE, fine stamps", "openssh", many("2026-11-23T12:35:31.123456+00:00 vm sshd[1]: Connection from 192.0.2.21 port 1 on 192.0.2.1 port 22\n2026-11-23T12:35:32.123456+00:00 vm sshd[1]: Connection closed by 192.0.2.21 port 1"), true, true, time.Microsecond},
		{"too little to say", "openssh", `Nov 23 12:35:33 vm sshd[1]: Failed password for root from 192.0.2.21 port 40101 ssh2` + "\n", true, true, time.Second},
		{"nginx without request_time", "nginx-json", many(`{"time":"2026-11-23T12:35:16+00:00","remote_addr":"192.0.2.23","status":200}`), true, false, time.Second},
		{"nginx with it", "nginx-json", many(`{"msec":1795437316.602,"remote_addr":"192.0.2.23","status":200,"request_time":0.5}`), true, true, time.Millisecond},
		{"a beginning that is reckoned from the end", "nginx-time", many(`192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "-" 0.125`), true, true, time.Second},
		{"combined", "combined", many(`192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`), true, false, time.Second},
	} {
		f, _ := ByName(x.format)
		g := f.Seen([]byte(x.head)).Gives
		if g.Opens != x.opens || g.Durations != x.durations || g.Clock != x.clock || g.Note != f.Gives.Note {
			t.Errorf("%s: %+v", x.name, g)
		}
		if d, ok := Detect([]byte(x.head)); !ok || d.Name != x.format || d.Gives != g {
			t.Errorf("%s: detected as %s, %+v", x.name, d.Name, d.Gives)
		}
	}
}

// TestDetectLooksAtTheContent of files that editors and other systems had in
// their hands, and of such as hold more than one log.
func TestDetectLooksAtTheContent(t *testing.T) {
	const (
		postfix = "Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]\n"
		web     = `192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "-"` + "\n"
	)
	for _, x := range []struct{ name, head, want string }{
		{"byte order mark", "\xEF\xBB\xBF" + postfix, "postfix"},
		{"line ends of Windows", strings.ReplaceAll(strings.Repeat(web, 3), "\n", "\r\n"), "combined"},
		{"empty lines", "\n\r\n\n" + web, "combined"},
		{"garbage before it", strings.Repeat("\x00\xff\xfe garbage\n", 8) + web, "combined"},
		{"nothing but garbage", strings.Repeat("\x00\xff\xfe garbage\n", 20) + web, ""},
		{"more of the one", strings.Repeat(postfix, 5) + strings.Repeat(web, 3), "postfix"},
		{"more of the other", strings.Repeat(postfix, 3) + strings.Repeat(web, 5), "combined"},
		{"cut in the middle of a line", web + web[:40], "combined"},
		{"a single line without an end", strings.TrimSuffix(web, "\n"), "combined"},
	} {
		if f, _ := Detect([]byte(x.head)); f.Name != x.want {
			t.Errorf("%s: taken for %q, want %q", x.name, f.Name, x.want)
		}
	}
	f, _ := ByName("postfix")
	if got := told(t, f.Name, Options{Now: now()}, "\xEF\xBB\xBF"+postfix); !strings.Contains(got, "192.0.2.7") {
		t.Errorf("a byte order mark hides the first line: %s", got)
	}
}
