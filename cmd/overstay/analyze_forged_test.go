package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// forgedSource is written wherever a client of forgedLogs can write.
const forgedSource = "198.51.100.66"

// forgedLogs are of clients 203.0.113.x who write an address of somebody else
// into their greeting, user name, agent, URL, and what else is theirs.
var forgedLogs = []struct{ format, lines string }{
	{"postfix", `Nov 23 12:35:16 mx postfix/smtpd[3]: connect from unknown[203.0.113.1]
Nov 23 12:35:17 mx postfix/smtpd[3]: warning: unknown[203.0.113.1]: SASL LOGIN authentication failed: x, sasl_username=unknown[198.51.100.66]: SASL LOGIN authentication failed: x
Nov 23 12:35:17 mx postfix/smtpd[3]: NOQUEUE: reject: RCPT from unknown[203.0.113.1]: 554 5.7.1 <a@[198.51.100.66]>: Relay access denied; from=<x from y[198.51.100.66]: > to=<b@c> proto=ESMTP helo=<connect from y[198.51.100.66]>
Nov 23 12:35:18 mx postfix/smtpd[3]: warning: non-SMTP command from unknown[203.0.113.1]: connect from unknown[198.51.100.66]
Nov 23 12:35:19 mx postfix/smtpd[3]: disconnect from unknown[203.0.113.1] ehlo=1 quit=1 commands=2
`},
	{"haproxy", `Nov 23 12:35:16 lb haproxy[1]: 203.0.113.2:34040 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/14 200 9 - - ---- 1/1/0/0/0 0/0 {198.51.100.66|198.51.100.66:1 [23/Nov/2026:12:35:16.825]} "GET /198.51.100.66:1 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/0 200 9 - - ---- 1/1/0/0/0 0/0 HTTP/1.1"
Nov 23 12:35:17 lb haproxy[1]: 203.0.113.2:34041 [23/Nov/2026:12:35:16.825] web b/s 0/0/0/0/14 200 9 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"
`},
	{"combined", `203.0.113.3 - 198.51.100.66 [23/Nov/2026:12:35:16 +0000] "GET /198.51.100.66 HTTP/1.1" 200 1 "198.51.100.66" "198.51.100.66 - - [23/Nov/2026:12:35:16 +0000]"
203.0.113.3 - - [23/Nov/2026:12:35:17 +0000] "\x16\x03\x01\n198.51.100.66 - - [23/Nov/2026:12:35:17 +0000] \"GET /" 400 1 "-" "-"
203.0.113.3 - - [23/Nov/2026:12:35:18 +0000] "GET / HTTP/1.1" 200 1 "-" "-"
`},
	{"nginx-time", `203.0.113.3 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 "-" "198.51.100.66\x22 1.000" 0.100
203.0.113.3 - - [23/Nov/2026:12:35:17 +0000] "GET /198.51.100.66 HTTP/1.1" 200 1 "198.51.100.66 - - [" "-" 0.100
`},
	{"caddy", `{"level":"info","ts":1795437317.7564,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.4","remote_port":"5","client_ip":"203.0.113.4","proto":"HTTP/2.0","method":"GET","host":"198.51.100.66","uri":"/\",\"remote_ip\":\"198.51.100.66","headers":{"User-Agent":["\"remote_ip\":\"198.51.100.66\""],"X-Forwarded-For":["198.51.100.66"],"Remote_ip":["198.51.100.66"]}},"bytes_read":0,"user_id":"198.51.100.66","duration":0.0125,"size":2,"status":200}
{"level":"info","ts":1795437318.7564,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"203.0.113.4","remote_port":"5","client_ip":"203.0.113.4","proto":"HTTP/2.0","method":"GET","host":"x","uri":"/","headers":{}},"bytes_read":0,"user_id":"","duration":0.0125,"size":2,"status":200}
`},
	{"openssh", `Nov 23 12:35:33 vm sshd[1]: Connection from 203.0.113.5 port 40101 on 192.0.2.1 port 22 rdomain ""
Nov 23 12:35:34 vm sshd[1]: Invalid user x from 198.51.100.66 port 1 from 203.0.113.5 port 40101
Nov 23 12:35:34 vm sshd[1]: Failed password for invalid user x from 198.51.100.66 port 1 ssh2 from 203.0.113.5 port 40101 ssh2
Nov 23 12:35:35 vm sshd[1]: Connection closed by invalid user x 198.51.100.66 port 1 203.0.113.5 port 40101 [preauth]
`},
	{"dovecot", `Nov 23 12:36:16 mx dovecot: imap-login: Login: user=<x>, rip=198.51.100.66, lip=1>, method=PLAIN, rip=203.0.113.6, lip=192.0.2.1, mpid=7, session=<x>
Nov 23 12:36:17 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<x>, method=PLAIN, rip=198.51.100.66, lip=192.0.2.1, session=<a>, method=LOGIN, rip=203.0.113.6, lip=192.0.2.1, session=<y>
`},
	{"exim", `2026-11-23 12:35:16 SMTP connection from [203.0.113.7]:4000 I=[192.0.2.1]:25 (TCP/IP connection count = 1)
2026-11-23 12:35:17 login authenticator failed for ([198.51.100.66]) [203.0.113.7]: 535 Incorrect authentication data (set_id=[198.51.100.66])
2026-11-23 12:35:18 SMTP connection from ([198.51.100.66]) [203.0.113.7]:4000 I=[192.0.2.1]:25 closed by QUIT
`},
	{"cowrie", `{"eventid":"cowrie.session.connect","src_ip":"203.0.113.8","src_port":5,"timestamp":"2026-11-23T12:35:16.139503Z","session":"0123","dst_port":2222,"sensor":"x"}
{"eventid":"cowrie.login.failed","username":"x\",\"src_ip\":\"198.51.100.66","password":"198.51.100.66","timestamp":"2026-11-23T12:35:17.139503Z","src_ip":"203.0.113.8","session":"0123"}
{"eventid":"cowrie.session.closed","timestamp":"2026-11-23T12:35:18.339503Z","src_ip":"203.0.113.8","duration":2.2,"session":"0123"}
`},
	{"vsftpd", `Mon Nov 23 12:35:38 2026 [pid 1] CONNECT: Client "203.0.113.11"
Mon Nov 23 12:35:39 2026 [pid 1] [x] OK LOGIN: Client "198.51.100.66"] FAIL LOGIN: Client "203.0.113.11"
Mon Nov 23 12:35:39 2026 [pid 1] [x] FAIL LOGIN: Client "203.0.113.11"
`},
	{"squid", `1795437328.810    271 203.0.113.12 TCP_MISS/200 20 GET http://x/198.51.100.66 - HIER_DIRECT/198.51.100.66 text/plain
1795437329.810    271 203.0.113.12 TCP_MISS/200 20 GET http://x/ 198.51.100.66 HIER_DIRECT/192.0.2.1 198.51.100.66
`},
	{"overstay", knownOpen + `{"time":"2026-11-23T14:21:51.000000Z","event":"fail","boot":"b","seq":2,"service":"smtp","conn":1,"client_ip":"203.0.113.9","what":"login","user":"x\",\"client_ip\":\"198.51.100.66"}` + "\n"},
	{"aws-alb", `http 2026-11-23T12:35:16.500000Z app/x/1 203.0.113.13:44740 192.0.2.80:80 0.1 0.3 0.1 200 200 34 366 "GET /\x22 198.51.100.66:1 http HTTP/1.1" "198.51.100.66:1" - - arn:x "Root=1" "198.51.100.66" "-" 1 2026-11-23T12:35:16.000000Z "forward" "-" "-"
http 2026-11-23T12:35:17.500000Z app/x/1 203.0.113.13:44740 192.0.2.80:80 0.1 0.3 0.1 200 200 34 366 "GET / HTTP/1.1" "x" - - arn:x "Root=1" "x" "-" 1 2026-11-23T12:35:16.000000Z "forward" "-" "-"
`},
	{"suricata", `{"timestamp":"2026-11-23T12:35:18.405139+0000","event_type":"flow","src_ip":"203.0.113.14","src_port":5,"dest_ip":"192.0.2.1","dest_port":443,"proto":"TCP","http":{"src_ip":"198.51.100.66","url":"\",\"src_ip\":\"198.51.100.66"},"flow":{"start":"2026-11-23T12:35:16.405139+0000","end":"2026-11-23T12:35:18.405139+0000","state":"closed"}}
`},
}

// TestForgedAddressesAreNotRanked analyzes logs of clients who write somebody
// else's address wherever they can: only they themselves are found.
func TestForgedAddressesAreNotRanked(t *testing.T) {
	for _, f := range forgedLogs {
		for _, format := range []string{f.format, "auto"} {
			t.Run(f.format+"/"+format, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "log")
				if err := os.WriteFile(path, []byte(f.lines), 0o600); err != nil {
					t.Fatal(err)
				}
				o := analyzeApart(t, time.Minute, "--format", format, "--year", "2026", path)
				if o.code != exitDone && o.code != exitFound {
					t.Fatalf("status %d: %s", o.code, o.stderr)
				}
				sources := ranked(t, o.stdout)
				if len(sources) == 0 {
					t.Fatal("nobody was found")
				}
				for _, s := range sources {
					if !strings.HasPrefix(s, "203.0.113.") {
						t.Errorf("%s is ranked", s)
					}
				}
			})
		}
	}
}
