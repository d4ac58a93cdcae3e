package formats

import (
	"errors"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// TestWhomAProcessServes gives sshd's lines that name no client to the one of
// their process, and to nobody once that may be another's.
func TestWhomAProcessServes(t *testing.T) {
	for _, x := range []struct {
		name  string
		lines []string
		want  string // whom the last line is about
	}{
		{"of its process", []string{
			`Nov 23 12:35:16 vm sshd[7]: Connection from 203.0.113.6 port 4711`,
			`Nov 23 12:35:17 vm sshd[8]: Connection from 203.0.113.7 port 4711`,
			`Nov 23 12:35:18 vm sshd[7]: Disconnecting: Too many authentication failures for root [preauth]`}, "203.0.113.6"},
		{"of a process of another host", []string{
			`Nov 23 12:35:16 vm1 sshd[7]: Connection from 203.0.113.6 port 4711`,
			`Nov 23 12:35:18 vm2 sshd[7]: Disconnecting: Too many authentication failures for root [preauth]`}, ""},
		{"of a process that has the number by now", []string{
			`Nov 23 12:35:16 vm sshd[7]: Connection from 203.0.113.6 port 4711`,
			`Nov 23 12:45:17 vm sshd[7]: Disconnecting: Too many authentication failures for root [preauth]`}, ""},
		{"of no process", []string{
			`Nov 23 12:35:16 vm sshd: Connection from 203.0.113.6 port 4711`,
			`Nov 23 12:35:18 vm sshd: Disconnecting: Too many authentication failures for root [preauth]`}, ""},
	} {
		f, _ := ByName("openssh")
		p := f.NewParser(Options{Now: now()})
		var err error
		for _, line := range x.lines {
			err = p.Parse([]byte(line), func(*connlog.Event) {})
		}
		got := ""
		if about, ok := errors.AsType[*Named](err); ok {
			got = about.Client.String()
			if about.Time.Hour() != 12 {
				t.Errorf("%s: at %v", x.name, about.Time)
			}
		}
		if got != x.want || !errors.Is(err, ErrSkip) {
			t.Errorf("%s: about %q (%v), want %q", x.name, got, err, x.want)
		}
	}
}

// TestOneFailureIsOne counts the failures of logs in which several lines tell
// of each.
func TestOneFailureIsOne(t *testing.T) {
	const pam = `pam_unix(%): authentication failure; logname= uid=0 euid=0 tty=x ruser=anna rhost=203.0.113.6  user=anna`
	ssh := func(line string) string { return "Nov 23 12:35:16 vm sshd[7]: " + line }
	for _, x := range []struct {
		name, format string
		lines        []string
		want         int
	}{
		{"PAM and sshd", "openssh", []string{
			ssh(`Connection from 203.0.113.6 port 4711`), ssh(strings.Replace(pam, "%", "sshd:auth", 1)), ssh(`Failed password for anna from 203.0.113.6 port 4711 ssh2`),
			ssh(strings.Replace(pam, "%", "sshd:auth", 1)), ssh(`Failed password for anna from 203.0.113.6 port 4711 ssh2`)}, 2},
		{"PAM and sshd, from the first line on", "openssh", []string{
			ssh(strings.Replace(pam, "%", "sshd:auth", 1)), ssh(`Failed password for anna from 203.0.113.6 port 4711 ssh2`),
			ssh(strings.Replace(pam, "%", "sshd:auth", 1)), ssh(`Failed password for anna from 203.0.113.6 port 4711 ssh2`)}, 2},
		{"PAM alone", "openssh", []string{ssh(strings.Replace(pam, "%", "sshd:auth", 1)), ssh(strings.Replace(pam, "%", "sshd:auth", 1))}, 2},
		{"a user that is none", "openssh", []string{
			ssh(`Invalid user x from 203.0.113.6`), ssh(`Failed password for invalid user x from 203.0.113.6 port 4711 ssh2`), ssh(`Failed password for invalid user x from 203.0.113.6 port 4711 ssh2`)}, 2},
		{"asked by keyboard", "openssh", []string{
			ssh(`Invalid user x from 203.0.113.6 port 4711`), ssh(`error: PAM: Authentication failure for illegal user x from 203.0.113.6`), ssh(`Failed keyboard-interactive/pam for invalid user x from 203.0.113.6 port 4711 ssh2`),
			ssh(`error: PAM: Authentication failure for illegal user x from 203.0.113.6`)}, 2},
		{"repeated", "openssh", []string{ssh(`message repeated 5 times: [ Failed password for root from 203.0.113.6 port 4711 ssh2]`)}, 5},
		{"repeated without end", "openssh", []string{ssh(`message repeated 99999999 times: [ Failed password for root from 203.0.113.6 port 4711 ssh2]`)}, maxFails},
		{"PAM alone, FTP", "vsftpd", []string{"Nov 23 12:35:16 vm vsftpd[7]: " + strings.Replace(pam, "%", "vsftpd:auth", 1)}, 1},
		{"vsftpd and PAM", "vsftpd", []string{`Nov 23 12:35:16 vm vsftpd[7]: CONNECT: Client "203.0.113.6"`,
			"Nov 23 12:35:16 vm vsftpd[7]: " + strings.Replace(pam, "%", "vsftpd:auth", 1), `Nov 23 12:35:16 vm vsftpd[7]: [anna] FAIL LOGIN: Client "203.0.113.6"`}, 1},
		{"Dovecot's processes", "dovecot", []string{
			`Nov 23 12:35:16 mx dovecot: auth-worker(1): pam(anna,203.0.113.6): unknown user`, "Nov 23 12:35:16 mx auth: " + strings.Replace(pam, "%", "dovecot:auth", 1),
			`Nov 23 12:35:18 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<anna>, method=PLAIN, rip=203.0.113.6, lip=192.0.2.1`}, 1},
	} {
		f, _ := ByName(x.format)
		p, fails := f.NewParser(Options{Now: now()}), 0
		for _, line := range x.lines {
			_ = p.Parse([]byte(line), func(e *connlog.Event) {
				if e.Kind == connlog.Fail {
					fails++
				}
			})
		}
		if fails != x.want {
			t.Errorf("%s: %d failures, want %d", x.name, fails, x.want)
		}
	}
}

// TestCowrieBeginsAnew numbers connections from one again, as after a restart.
func TestCowrieBeginsAnew(t *testing.T) {
	got := told(t, "cowrie-text", Options{Now: now()},
		`2026-11-23T12:35:16Z [cowrie.ssh.factory.CowrieSSHFactory] New connection: 203.0.113.6:1 (192.0.2.1:2222) [session: 1]`,
		`2026-11-23T12:35:17Z [HoneyPotSSHTransport,500,203.0.113.6] Connection lost after 1 seconds`,
		`2026-11-23T12:35:18Z [cowrie.ssh.factory.CowrieSSHFactory] New connection: 203.0.113.7:1 (192.0.2.1:2222) [session: 2]`,
		`2026-11-23T12:35:18Z [cowrie.telnet.factory.HoneyPotTelnetFactory] New connection: 203.0.113.8:1 (192.0.2.1:2223) [session: 3]`,
		`2026-11-23T12:35:19Z [HoneyPotSSHTransport,0,203.0.113.7] Connection lost after 1 seconds`,
		`2026-11-23T12:35:20Z [CowrieTelnetTransport,0,203.0.113.8] Connection lost after 2 seconds`)
	want := `1123 12:35:16.000 open ssh #1 203.0.113.6:1
1123 12:35:17.000 close ssh #1 203.0.113.6 held=1s proven=false fails=0 client
1123 12:35:18.000 open ssh #2 203.0.113.7:1
1123 12:35:18.000 open telnet #3 203.0.113.8:1
1123 12:35:19.000 close ssh #2 203.0.113.7 held=1s proven=false fails=0 client
1123 12:35:20.000 close telnet #3 203.0.113.8 held=2s proven=false fails=0 client
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestATableInSeveralFiles names its columns in each.
func TestATableInSeveralFiles(t *testing.T) {
	f, err := Mapping{Address: "ip", Begin: "from", Duration: "took"}.CSV(',')
	if err != nil {
		t.Fatal(err)
	}
	p, events := f.NewParser(Options{Now: now()}), 0
	for _, line := range []string{"ip,from,took", "203.0.113.6,2026-11-23T12:35:16Z,1", "ip,from,took", "203.0.113.7,2026-11-23T12:35:16Z,1"} {
		if err := p.Parse([]byte(line), func(e *connlog.Event) {
			events++
			if e.Kind == connlog.Close && e.Held != time.Second {
				t.Errorf("held %v", e.Held)
			}
		}); err != nil && !errors.Is(err, ErrSkip) {
			t.Errorf("%v: %s", err, line)
		}
	}
	if events != 4 {
		t.Errorf("%d events, want 4", events)
	}
}
