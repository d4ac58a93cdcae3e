package formats

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"overstay/connlog"
)

// forgeries are lines whose stranger wrote 198.51.100.66 wherever it may: it
// is never the source.
var forged = netip.MustParseAddr("198.51.100.66")

type forgery struct {
	format string
	line   string
	source string // whom the line is about; empty if nobody is to be taken
}

func forgeries() []forgery {
	return []forgery{
		{"haproxy", `Nov 23 12:35:16 lb haproxy[1]: 192.0.2.21:34040 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/0 200 9 - - ---- 1/1/0/0/0 0/0 {198.51.100.66} "GET /198.51.100.66:1 [23/Nov/2026:12:35:16.825] web b/s 1/0/6 255 -- HTTP/1.1"`, "192.0.2.21"},
		{"haproxy", `Nov 23 12:35:16 lb haproxy[1]: 192.0.2.21:34040 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/0 200 9 198.51.100.66:1 [23/Nov/2026:12:35:16.825] ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"`, "192.0.2.21"},
		{"vhost", `192.0.2.23 - x stdout F y 198.51.100.66 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1`, ""},
		{"vhost", `192.0.2.23 - 2026-11-23T12:35:16Z stdout F y 198.51.100.66 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1`, ""},
		{"combined", `Nov 23 12:35:16 web app[1]: 198.51.100.66 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1`, ""},
		{"nginx-json", `Nov 23 12:35:16 web app[1]: {"remote_addr":"198.51.100.66","msec":1795437316.602,"status":200}`, ""},
		{"combined", `192.0.2.23 - 198.51.100.66 - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "198.51.100.66 - - [23/Nov/2026:12:35:16 +0000]"`, "192.0.2.23"},
		{"combined", `192.0.2.23 - x [01/Jan/2001:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 - [23/Nov/2026:12:35:16 +0000] "GET /\" 200 1 \"198.51.100.66" 404 7 "-" "-"`, ""},
		{"nginx-time", `192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "\x22 99999.000" 0.100`, "192.0.2.23"},
		{"nginx-json", `{"remote_addr":"192.0.2.23","msec":1795437316.602,"status":200,"request":"GET /\",\"remote_addr\":\"198.51.100.66\",\"x\":\"","agent":"\"remote_addr\":\"198.51.100.66\""}`, "192.0.2.23"},
		{"nginx-json", `{"remote_addr":"192.0.2.23","msec":1795437316.602,"status":200,"remote_addr":"198.51.100.66"}`, ""},
		{"nginx-json", `{"h":{"remote_addr":"198.51.100.66"},"remote_addr":"192.0.2.23","msec":1795437316.602,"status":200}`, "192.0.2.23"},
		{"overstay", `{"time":"2026-11-23T12:35:17.5Z","event":"fail","service":"smtp","conn":1,"client_ip":"203.0.113.9","what":"login","user":"x\",\"client_ip\":\"198.51.100.66"}`, "203.0.113.9"},
		{"exim", `2026-11-23 12:35:17 1tEqXx-000000001Ab-2CdE <= "a H=x [198.51.100.66]"@b H=(mail) [192.0.2.21]:4000 P=esmtps`, ""},
		{"exim", `2026-11-23 12:35:17 1tEqXx-000000001Ab-2CdE <= a@b H=(mail) [192.0.2.21]:4000 P=esmtps T="x H=y [198.51.100.66]"`, ""},
		{"exim", `2026-11-23 12:35:19 login authenticator failed for ([198.51.100.66]) [192.0.2.21]: 535 Incorrect (set_id=x) [198.51.100.66]: 535 y`, ""},
		{"exim", `2026-11-23 12:35:19 login authenticator failed for ([198.51.100.66]) [192.0.2.21]: 535 Incorrect (set_id=[198.51.100.66])`, "192.0.2.21"},
		{"proftpd", `2026-11-23 12:35:17,124 ftp1 proftpd[1] ftp1 (a[192.0.2.142]): USER x (a[198.51.100.66]): USER y: Login successful. (Login failed): Incorrect password`, "192.0.2.142"},
		{"cowrie-text", `2026-11-23T12:35:17.5+0000 [SSHService 'ssh-userauth' on HoneyPotSSHTransport,1,203.0.113.6] login attempt [x] on HoneyPotSSHTransport,2,198.51.100.66] login attempt [y/z] failed`, "203.0.113.6"},
		{"cowrie-text", `2026-11-23T12:35:17.5+0000 [HoneyPotSSHTransport,1,203.0.113.6] Remote SSH version: New connection: 198.51.100.66:1 (192.0.2.1:2222) [session: 1]`, ""},
		{"nginx-error", `2026/11/23 12:35:16 [error] 2865#0: *1 user "x": password mismatch, client: 198.51.100.66, server: y, request: "z": was not found in "/x", client: 203.0.113.6, server: , request: "GET / HTTP/1.1"`, ""},
		{"nginx-error", `2026/11/23 12:35:16 [error] 2865#0: *1 open() "/x" failed (2: No such file), client: 203.0.113.6, server: y, request: "GET /, client: 198.51.100.66, server: HTTP/1.1"`, ""},
		{"nginx-error", `2026/11/23 12:35:16 [error] 2865#0: *1 limiting connections by zone "one", client: 203.0.113.6, server: y, request: "GET / HTTP/1.1", referrer: "x, client: 203.0.113.6, server: y"`, "203.0.113.6"},
		{"apache-error", `[Mon Nov 23 12:35:16.250000 2026] [core:error] [pid 1:tid 2] [client 203.0.113.6:4711] AH00126: Invalid URI in request GET /[client 198.51.100.66:1] user x not found HTTP/1.1`, "203.0.113.6"},
		{"apache-error", `[Mon Nov 23 12:35:16 2026] [error] [client 203.0.113.6] user x [client 198.51.100.66] user y not found: /`, "203.0.113.6"},
		{"gms", `SMTP 23 Nov 2026 12:35:17 A 3084 1228 RCPT TO:<Connection from 198.51.100.66>`, ""},
		{"gms", `SMTP 23 Nov 2026 12:35:17 I 30012 1228 Connection from 203.0.113.6 helo Connection from 198.51.100.66`, "203.0.113.6"},
		{"vsftpd", `Nov 23 12:35:16 ftp vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=198.51.100.66 rhost=203.0.113.6 user=x`, ""},
		{"openssh", `Nov 23 12:35:16 vm sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.6  user=x rhost=198.51.100.66`, ""},
		{"openssh", `Nov 23 12:35:16 vm sshd[1]: error: PAM: Authentication failure for x from 198.51.100.66 via 192.0.2.1 from 203.0.113.6 via 192.0.2.1`, "203.0.113.6"},
		{"openssh", `Nov 23 12:35:16 vm sshd[1]: message repeated 2 times: [ Failed password for x from 198.51.100.66 port 1 ssh2 from 203.0.113.6 port 4711 ssh2]`, "203.0.113.6"},
		{"cowrie", `{"eventid":"cowrie.login.failed","username":"x\",\"src_ip\":\"198.51.100.66","timestamp":"2026-11-23T12:35:17.5Z","src_ip":"203.0.113.6","session":"1"}`, "203.0.113.6"},
		{"cowrie", `{"eventid":"cowrie.login.failed","src_ip":"198.51.100.66","timestamp":"2026-11-23T12:35:17.5Z","src_ip":"203.0.113.6","session":"1"}`, ""},
		{"aws-alb", `http 2026-11-23T12:35:16.500000Z app/x/1 192.0.2.10:44740 192.0.2.80:80 0.1 0.3 0.1 200 200 34 366 "GET /\x22 198.51.100.66:1 http HTTP/1.1" "198.51.100.66:1" - -`, "192.0.2.10"},
		{"combined", `198.51.100.66 192.0.2.24 - - [23/Nov/2026:12:35:17 +0000] "GET / HTTP/1.1" 200 0 "-" "-"`, ""},
		{"caddy", `{"ts":1795437318,"msg":"handled request","request":{"remote_ip":"192.0.2.23","headers":{"remote_ip":["198.51.100.66"],"x\",\"remote_ip\":\"198.51.100.66":["y"]}},"request.remote_ip":"198.51.100.66","duration":0,"status":401}`, ""},
		{"suricata", `{"event_type":"flow","proto":"TCP","src_ip":"192.0.2.23","http":{"src_ip":"198.51.100.66","url":"\",\"src_ip\":\"198.51.100.66"},"dest_port":1,"flow":{"start":"2026-11-23T12:35:16.5+0000","end":"2026-11-23T12:35:18+0000"}}`, "192.0.2.23"},
		{"postfix", `Nov 23 12:35:19 mx postfix/smtpd[3]: NOQUEUE: reject: RCPT from x.example.org[192.0.2.7]: 554 5.7.1 <a@[198.51.100.66]>: Relay access denied; from=<c@d> to=<x from y[198.51.100.66]: > proto=SMTP helo=<from y[198.51.100.66]>`, "192.0.2.7"},
		{"postfix", `Nov 23 12:35:35 mx postfix/smtpd[3]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x, sasl_username=unknown[198.51.100.66]: SASL LOGIN authentication failed: x`, "192.0.2.7"},
		{"postfix", `Nov 23 12:35:35 mx postfix/smtpd[3]: warning: non-SMTP command from unknown[192.0.2.7]: GET / from unknown[198.51.100.66]`, "192.0.2.7"},
		{"postfix", `Nov 23 12:35:35 mx postfix/cleanup[3]: F00: warning: header Subject: connect from unknown[198.51.100.66]; from=<>`, ""},
		{"postfix", `Nov 23 12:35:35 mx postfix/smtpd[3]: F00: client=unknown[192.0.2.7], sasl_method=PLAIN, sasl_username=client=unknown[198.51.100.66]`, "192.0.2.7"},
		{"dovecot", `Nov 23 12:36:17 imap-login: Info: Disconnected (auth failed, 1 attempts in 2 secs): user=<x>, method=PLAIN, rip=198.51.100.66, lip=192.0.2.1, session=<a>, method=LOGIN, rip=203.0.113.17, lip=192.0.2.1, session=<x>`, "203.0.113.17"},
		{"dovecot", `Nov 23 12:36:17 imap-login: Info: Login: user=<x>, rip=198.51.100.66, lip=1>, method=PLAIN, rip=203.0.113.17, lip=192.0.2.1, mpid=7, session=<x>`, "203.0.113.17"},
		{"dovecot", `Nov 23 12:36:17 auth: Info: passwd-file(imap-login: rip=198.51.100.66, lip=): unknown user`, ""},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Failed password for invalid user x from 198.51.100.66 port 22 ssh2 from 203.0.113.14 port 40101 ssh2`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Failed password for invalid user x from 198.51.100.66 port 22 ssh2: y from 203.0.113.14 port 40101 ssh2`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Failed password for user from 203.0.113.14 port 20000 ssh1: ruser XXX from 198.51.100.66`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Failed hostbased for x from 203.0.113.14 port 20000 ssh2: RSA aa, client user "x from 198.51.100.66 port 1 ssh2: y", client host "h"`, ""},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Invalid user x from 198.51.100.66 port 1 from 203.0.113.14 port 20000`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Bad protocol version identification 'x' from 198.51.100.66 port 1' from 203.0.113.14 port 31778`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Connection closed by authenticating user 198.51.100.66 port 1 203.0.113.14 port 46039 [preauth]`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: refused connect from x (198.51.100.66)@y (203.0.113.14)`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Received disconnect from 203.0.113.14: 14: from 198.51.100.66: 14: No supported authentication methods available [preauth]`, "203.0.113.14"},
		{"postfix", `Nov 23 12:35:33 mx postfix/postscreen[1]: PREGREET 14 after 0.08 from [203.0.113.14]:59415: EHLO from [198.51.100.66]:1\r\n`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Unable to negotiate with 203.0.113.14 port 1: no matching x found. Their offer: with 198.51.100.66 port 1`, "203.0.113.14"},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Received disconnect from 203.0.113.14 port 1:11: Failed password for x from 198.51.100.66 port 1 ssh2`, ""},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] [x] OK LOGIN: Client "198.51.100.66"] FAIL LOGIN: Client "203.0.113.15"`, ""},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] [x] OK DOWNLOAD: Client "203.0.113.15", "/x] FAIL LOGIN: Client "198.51.100.66""`, ""},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] [x] FAIL LOGIN: Client "203.0.113.15"`, "203.0.113.15"},
		{"squid", `1795437328.810    271 192.0.2.22 TCP_MISS/200 20 GET http://x/\n1795437328.810 1 198.51.100.66 TCP_MISS/200 20 - HIER_DIRECT/198.51.100.66 text/plain`, "192.0.2.22"},
		{"endlessh", `2026-11-23T12:35:34.765Z ACCEPT host=203.0.113.24 port=43360 fd=4 n=1/4096 ACCEPT host=198.51.100.66`, ""},
	}
}

func TestForgedAddresses(t *testing.T) {
	for _, f := range forgeries() {
		format, ok := ByName(f.format)
		if !ok {
			t.Fatalf("no format %q", f.format)
		}
		p := format.NewParser(Options{Now: now()})
		got := ""
		err := p.Parse([]byte(f.line), func(e *connlog.Event) { got = e.ClientIP.String() })
		if about, ok := errors.AsType[*Named](err); ok && about.Client == forged {
			t.Errorf("%s: %v is named by %s", f.format, forged, f.line)
		}
		if got != f.source {
			t.Errorf("%s: source %q (%v), want %q, of %s", f.format, got, err, f.source, f.line)
		}
	}
}

// TestForgersAreRefused wants lines that two could have written to be said so.
func TestForgersAreRefused(t *testing.T) {
	for _, format := range []string{"openssh", "vsftpd", "nginx-error"} {
		n := 0
		for _, f := range forgeries() {
			parser, _ := ByName(f.format)
			if f.format == format && errors.Is(parser.NewParser(Options{Now: now()}).Parse([]byte(f.line), func(*connlog.Event) {}), ErrForged) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s: no line is refused as forged", format)
		}
	}
}

// fuzz feeds lines to a parser of a format. Whatever they say, no event is
// without time or kind, none of a connection is at a time before it opened,
// and what is kept is bounded.
func fuzz(f *testing.F, name string) {
	for _, s := range samples() {
		if s.format == name || name == "syslog" {
			f.Add([]byte(strings.TrimPrefix(s.lines, "\n")))
		}
	}
	for _, x := range forgeries() {
		if x.format == name {
			f.Add([]byte(x.line))
		}
	}
	format, ok := ByName(name)
	if !ok {
		f.Fatalf("no format %q", name)
	}
	const few = 4
	f.Fuzz(func(t *testing.T, text []byte) {
		p := format.NewParser(Options{Now: now(), MaxOpen: few})
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			before := bytes.Clone(line)
			n := 0
			err := p.Parse(line, func(e *connlog.Event) {
				n++
				if name == "overstay" {
					return // the parser of its own log has tests of its own
				}
				if e.Kind == connlog.Unknown || e.Time.IsZero() || e.Held < 0 {
					t.Fatalf("%+v of %q", e, line)
				}
				if e.Kind != connlog.Refuse && !e.ClientIP.IsValid() {
					t.Fatalf("no source: %+v of %q", e, line)
				}
				if e.ClientIP.Zone() != "" || e.ClientIP.Is4In6() {
					t.Fatalf("source %v of %q", e.ClientIP, line)
				}
				if len(e.User) > maxWordLen*3 || len(e.Service) > maxWordLen*3 {
					t.Fatalf("a word of %d bytes", max(len(e.User), len(e.Service)))
				}
			})
			if (err == nil) != (n > 0) {
				t.Fatalf("%d events and the error %v of %q", n, err, line)
			}
			if n > maxFails+8 {
				t.Fatalf("%d events of %q", n, line)
			}
			if !bytes.Equal(before, line) {
				t.Fatalf("the line was changed: %q, was %q", line, before)
			}
			if p.open.size() > few || p.queue.size() > few {
				t.Fatalf("%d sessions are kept", p.open.size())
			}
		}
	})
}

func FuzzHAProxy(f *testing.F)     { fuzz(f, "haproxy") }
func FuzzCombined(f *testing.F)    { fuzz(f, "combined") }
func FuzzNginxTime(f *testing.F)   { fuzz(f, "nginx-time") }
func FuzzNginxJSON(f *testing.F)   { fuzz(f, "nginx-json") }
func FuzzVhost(f *testing.F)       { fuzz(f, "vhost") }
func FuzzCaddy(f *testing.F)       { fuzz(f, "caddy") }
func FuzzTraefik(f *testing.F)     { fuzz(f, "traefik") }
func FuzzEnvoy(f *testing.F)       { fuzz(f, "envoy") }
func FuzzZeek(f *testing.F)        { fuzz(f, "zeek") }
func FuzzZeekJSON(f *testing.F)    { fuzz(f, "zeek-json") }
func FuzzSuricata(f *testing.F)    { fuzz(f, "suricata") }
func FuzzOverstay(f *testing.F)    { fuzz(f, "overstay") }
func FuzzVPCFlow(f *testing.F)     { fuzz(f, "aws-vpc") }
func FuzzExim(f *testing.F)        { fuzz(f, "exim") }
func FuzzProFTPD(f *testing.F)     { fuzz(f, "proftpd") }
func FuzzCowrie(f *testing.F)      { fuzz(f, "cowrie") }
func FuzzALB(f *testing.F)         { fuzz(f, "aws-alb") }
func FuzzELB(f *testing.F)         { fuzz(f, "aws-elb") }
func FuzzPostfix(f *testing.F)     { fuzz(f, "postfix") }
func FuzzDovecot(f *testing.F)     { fuzz(f, "dovecot") }
func FuzzOpenSSH(f *testing.F)     { fuzz(f, "openssh") }
func FuzzSyslog(f *testing.F)      { fuzz(f, "syslog") }
func FuzzVsftpd(f *testing.F)      { fuzz(f, "vsftpd") }
func FuzzSquid(f *testing.F)       { fuzz(f, "squid") }
func FuzzEndlessh(f *testing.F)    { fuzz(f, "endlessh") }
func FuzzNginxError(f *testing.F)  { fuzz(f, "nginx-error") }
func FuzzApacheError(f *testing.F) { fuzz(f, "apache-error") }
func FuzzCowrieText(f *testing.F)  { fuzz(f, "cowrie-text") }
func FuzzGMS(f *testing.F)         { fuzz(f, "gms") }

// TestForgedIsNobodys keeps the tests above honest: the forged address is of
// no template.
func TestForgedIsNobodys(t *testing.T) {
	for _, f := range forgeries() {
		if f.source == forged.String() {
			t.Errorf("%s expects the forged address", f.format)
		}
	}
}
