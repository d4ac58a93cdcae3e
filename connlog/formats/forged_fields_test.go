package formats

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"overstay/connlog"
)

// field is a line of a format with @ where a stranger writes.
type field struct {
	format string
	line   string
}

// honest is the client of all of these lines.
var honest = netip.MustParseAddr("192.0.2.21")

func fields() []field {
	return []field{
		{"haproxy", `Nov 23 12:35:16 lb haproxy[1]: 192.0.2.21:34040 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/0 200 9 - - ---- 1/1/0/0/0 0/0 {@} "GET @ HTTP/1.1"`},
		{"postfix", `Nov 23 12:35:19 mx postfix/smtpd[3]: NOQUEUE: reject: RCPT from x[192.0.2.21]: 554 5.7.1 <@>: no; from=<@> to=<@> proto=SMTP helo=<@>`},
		{"postfix", `Nov 23 12:35:35 mx postfix/smtpd[3]: warning: unknown[192.0.2.21]: SASL LOGIN authentication failed: x, sasl_username=@`},
		{"postfix", `Nov 23 12:35:35 mx postfix/smtpd[3]: warning: non-SMTP command from x[192.0.2.21]: @`},
		{"postfix", `Nov 23 12:35:35 mx postfix/cleanup[3]: F00: message-id=<@>`},
		{"postfix", `Nov 23 12:35:35 mx postfix/qmgr[3]: F00: from=<@>, size=1`},
		{"postfix", `Nov 23 12:35:35 mx postfix/postscreen[3]: PREGREET 14 after 0.08 from [192.0.2.21]:59415: @`},
		{"dovecot", `Nov 23 12:36:17 imap-login: Info: Disconnected (auth failed, 1 attempts in 2 secs): user=<@>, method=PLAIN, rip=192.0.2.21, lip=192.0.2.1, session=<a>`},
		{"dovecot", `Nov 23 12:36:17 imap-login: Login: user=<@>, method=PLAIN, rip=192.0.2.21, lip=192.0.2.1, session=<a>`},
		{"dovecot", `Nov 23 12:36:17 mx dovecot: auth: passwd-file(@,192.0.2.21): unknown user`},
		{"dovecot", `Nov 23 12:36:17 mx dovecot: auth-worker(1): sql(@,192.0.2.21,<id>): Password mismatch (given password: @)`},
		{"dovecot", `Nov 23 12:36:17 mx dovecot: auth: sql(anna,192.0.2.21): unknown user (given password: @)`},
		{"dovecot", `Nov 23 12:36:17 mx auth: pam_unix(dovecot:auth): authentication failure; logname= uid=0 euid=0 tty=dovecot ruser=@ rhost=192.0.2.21  user=@`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Failed password for invalid user @ from 192.0.2.21 port 40101 ssh2`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Invalid user @ from 192.0.2.21 port 40101`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Connection closed by authenticating user @ 192.0.2.21 port 1 [preauth]`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Bad protocol version identification '@' from 192.0.2.21 port 31778`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Received disconnect from 192.0.2.21 port 1:11: @`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Unable to negotiate with 192.0.2.21 port 1: no match. Their offer: @`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: Disconnecting invalid user @ 192.0.2.21 port 1: Change of username or service not allowed: (@,ssh-connection) -> (@,ssh-connection) [preauth]`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: error: PAM: Authentication failure for illegal user @ from 192.0.2.21 via 192.0.2.1`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.21  user=@`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: User @ from 192.0.2.21 not allowed because not listed in AllowUsers`},
		{"openssh", `Nov 23 12:35:33 vm sshd[1]: message repeated 2 times: [ Failed password for @ from 192.0.2.21 port 40101 ssh2]`},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] [@] FAIL LOGIN: Client "192.0.2.21"`},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] [x] OK DOWNLOAD: Client "192.0.2.21", "@", 3 bytes`},
		{"vsftpd", `Mon Nov 23 12:35:39 2026 [pid 1] FTP command: Client "192.0.2.21", "USER @"`},
		{"vsftpd", `Nov 23 12:35:39 ftp vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=@ rhost=192.0.2.21 user=@`},
		{"proftpd", `2026-11-23 12:35:17,124 ftp1 proftpd[1] ftp1 (192.0.2.21[192.0.2.21]): USER @ (Login failed): Incorrect password`},
		{"proftpd", `2026-11-23 12:35:17,124 ftp1 proftpd[1] ftp1 (192.0.2.21[192.0.2.21]): USER @: no such user found from 192.0.2.21 [192.0.2.21] to 192.0.2.1:21`},
		{"exim", `2026-11-23 12:35:19 login authenticator failed for (@) [192.0.2.21]:5000: 535 Incorrect authentication data (set_id=@)`},
		{"exim", `2026-11-23 12:35:20 H=(mail) [192.0.2.21]:3755 F=<@> rejected RCPT <@>: relay not permitted`},
		{"exim", `2026-11-23 12:35:32 SMTP call from [192.0.2.21] dropped: too many unrecognized commands (last was "@")`},
		{"exim", `2026-11-23 12:35:32 SMTP protocol error in "@" H=(mail) [192.0.2.21]:4816 LOGIN authentication mechanism not supported`},
		{"exim", `2026-11-23 12:35:32 1tEqXx-000000001Ab-2CdE SA: Action: tossed message: (scanned in 6/6 secs | Message-Id: @). From <@> (host=mail [192.0.2.21]) for @`},
		{"squid", `1795437328.810    271 192.0.2.21 TCP_MISS/200 20 GET http://@ @ HIER_DIRECT/192.0.2.1 text/@`},
		{"combined", `192.0.2.21 - - [23/Nov/2026:12:35:16 +0000] "GET @ HTTP/1.1" 200 1 "@" "@"`},
		{"combined", `192.0.2.21 - @ [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`},
		{"vhost", `www.example.org:443 192.0.2.21 - @ [23/Nov/2026:12:35:16 +0000] "GET @ HTTP/1.1" 200 1 "@" "@"`},
		{"nginx-time", `192.0.2.21 - @ [23/Nov/2026:12:35:16 +0000] "GET @ HTTP/1.1" 200 1 "@" "@" 0.100`},
		{"nginx-error", `2026/11/23 12:35:16 [error] 1#1: *1 user "@": password mismatch, client: 192.0.2.21, server: , request: "GET @ HTTP/1.1", host: "@", referrer: "@"`},
		{"nginx-error", `2026/11/23 12:35:16 [error] 1#1: *1 limiting connections by zone "one", client: 192.0.2.21, server: , request: "GET @ HTTP/1.1", host: "@", referrer: "@"`},
		{"apache-error", `[Mon Nov 23 12:35:16.250000 2026] [core:error] [pid 1:tid 2] [client 192.0.2.21:4711] AH00126: Invalid URI in request @`},
		{"apache-error", `[Mon Nov 23 12:35:16 2026] [error] [client 192.0.2.21] user @ not found: @, referer: @`},
		{"cowrie-text", `2026-11-23T12:35:17.5+0000 [SSHService 'ssh-userauth' on HoneyPotSSHTransport,1,192.0.2.21] login attempt [@/@] failed`},
		{"cowrie-text", `2026-11-23T12:35:17.5+0000 [HoneyPotSSHTransport,1,192.0.2.21] Remote SSH version: @`},
		{"gms", `SMTP 23 Nov 2026 12:35:17 A 3084 1228 RCPT TO:<@>`},
		{"aws-alb", `http 2026-11-23T12:35:16.500000Z app/x/1 192.0.2.21:44740 192.0.2.80:80 0.1 0.3 0.1 200 200 34 366 "GET @ HTTP/1.1" "@" - -`},
		{"aws-elb", `2026-11-23T12:35:16.500000Z my-elb 192.0.2.21:2817 192.0.2.80:80 0.1 0.1 0.1 200 200 0 29 "GET @ HTTP/1.1" "@" - -`},
		{"nginx-json", `{"remote_addr":"192.0.2.21","msec":1795437316.602,"status":200,"request":"@","agent":"@"}`},
		{"traefik", `{"ClientAddr":"192.0.2.21:1","ClientHost":"@","ClientUsername":"@","DownstreamStatus":200,"Duration":1,"RequestPath":"@","StartUTC":"2026-11-23T12:35:16Z"}`},
		{"cowrie", `{"eventid":"cowrie.login.failed","username":"@","password":"@","timestamp":"2026-11-23T12:35:17.5Z","src_ip":"192.0.2.21","session":"1"}`},
	}
}

// fill puts a text where a stranger writes, as the server would write it.
func (f field) fill(text string) string {
	switch {
	case f.line[0] == '{':
		text = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
	case f.format == "combined", f.format == "vhost", f.format == "nginx-time", strings.HasPrefix(f.format, "aws-"):
		text = strings.NewReplacer(`\`, `\\`, `"`, `\x22`).Replace(text)
	}
	return strings.ReplaceAll(f.line, "@", text)
}

// check wants the honest client of a line, or nobody.
func (f field) check(t *testing.T, text string) {
	format, ok := ByName(f.format)
	if !ok {
		t.Fatalf("no format %q", f.format)
	}
	line := f.fill(text)
	err := format.NewParser(Options{Now: now()}).Parse([]byte(line), func(e *connlog.Event) {
		if e.ClientIP != honest {
			t.Errorf("%s: source %v of %s", f.format, e.ClientIP, line)
		}
	})
	if about, ok := errors.AsType[*Named](err); ok && about.Client != honest {
		t.Errorf("%s: %v is named by %s", f.format, about.Client, line)
	}
}

// TestNoFieldIsTheSource puts a forged address, in the shapes that lines of
// the format use, in the place of everything that a stranger writes.
func TestNoFieldIsTheSource(t *testing.T) {
	texts := []string{
		"198.51.100.66", "x from 198.51.100.66 port 22 ssh2", "x[198.51.100.66]", " rip=198.51.100.66, lip=1", `: Client "198.51.100.66"`,
		`","remote_addr":"198.51.100.66","x":"`, "198.51.100.66:1 [23/Nov/2026:12:35:16.825] web b/s 1/0/6 255 --", "host=198.51.100.66 port=1 fd=1 n=1/2",
		"x\" 198.51.100.66 - - [23/Nov/2026:12:35:16 +0000] \"GET / HTTP/1.1\" 200 1", "x: SASL LOGIN authentication failed: x[198.51.100.66]",
		" from x[198.51.100.66]: ", "] FAIL LOGIN", "x>, method=PLAIN, rip=198.51.100.66, lip=1, session=<y", ": ", "\x00", "%s", "[preauth]",
		"x rhost=198.51.100.66 ", "x, client: 198.51.100.66, server: x", "[client 198.51.100.66] user x not found: ", "H=(x) [198.51.100.66]:1 ",
		"x) [198.51.100.66]:1: 535", "x,198.51.100.66): unknown user", "x 198.51.100.66 port 5: y", "] on HoneyPotSSHTransport,2,198.51.100.66] x",
		"Connection from 198.51.100.66", "x (host=y [198.51.100.66]) for z", "x (a[198.51.100.66]): USER y (Login failed)", "x from 198.51.100.66 not allowed because y",
	}
	for _, f := range fields() {
		for _, text := range texts {
			f.check(t, text)
		}
	}
}

// FuzzFields looks for a text that makes somebody else the source.
func FuzzFields(f *testing.F) {
	for i := range fields() {
		f.Add(i, "x from 198.51.100.66 port 22 ssh2")
	}
	all := fields()
	f.Fuzz(func(t *testing.T, i int, text string) {
		if i < 0 || i >= len(all) || bytes.ContainsAny([]byte(text), "\n\r") || len(text) > maxWordLen {
			t.Skip()
		}
		all[i].check(t, text)
	})
}

// TestNoMixtureIsTheSource puts words together that lines of the formats are
// made of, around forged addresses.
func TestNoMixtureIsTheSource(t *testing.T) {
	words := []string{
		"198.51.100.66", "198.51.100.66", "[198.51.100.66]", "x[198.51.100.66]", "198.51.100.66:4711", "2001:db8::66", "::ffff:198.51.100.66",
		" ", " ", "x", ":", ": ", ", ", "]", "[", "] ", "(", ")", ") ", "<", ">", "'", `"`, `\`, "=", "/", "-", ";",
		" from ", " port ", "1", "22", " ssh2", " via ", " for ", "invalid user ", "illegal user ", " [preauth]", " not allowed because ", "user ", "Accepted password for ", "Failed password for ",
		"Connection from ", "disconnect from ", "connect from ", ": SASL LOGIN authentication failed: ", "client=", "rip=", " rip=", ", lip=", "user=<", "session=<", "Login: ", ": unknown user", "pam(",
		" rhost=", " ruser=", "authentication failure; ", " H=", "H=", " (set_id=", " authenticator failed for ", " rejected RCPT ", "<= ", " (host=", "]) for ", " D=", "(last was ",
		`: Client "`, "] FAIL LOGIN", "] OK LOGIN", "CONNECT", "USER ", " (Login failed)", ": no such user found from ", "])", ", client: ", ", server: ", ", request: ", "#", "*1 ", "user ", " was not found in ",
		"[client ", " not found: ", "AH01617: ", "Transport,", " on ", "New connection: ", "login attempt [", "] succeeded", "] failed", "Connection lost after ", " seconds", " - - ", "[23/Nov/2026:12:35:16 +0000] ",
		`"src_ip":`, `"remote_addr":`, `,"`, "message repeated 2 times: [ ", "Disconnecting: ", "host=", " port=", " 200 1 ", "HTTP/1.1", "\t", "\x00", "\xff",
		" stdout F ", "2026-11-23T12:35:16Z stdout F 198.51.100.66 - - ", "Nov 23 12:35:16 web nginx: 198.51.100.66 - - ", "[23/Nov/2026:12:35:16 +0000] \"GET / HTTP/1.1\" 200 1",
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 4))
	for _, f := range fields() {
		for range 300 {
			var text strings.Builder
			for range 1 + random.IntN(9) {
				text.WriteString(words[random.IntN(len(words))])
			}
			f.check(t, text.String())
		}
	}
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}
