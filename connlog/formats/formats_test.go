package formats

import (
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

// sample is a log and what it tells.
type sample struct {
	name   string
	format string
	lines  string
	want   string
}

func samples() []sample {
	return []sample{
		{"tcp log", "haproxy", `
Nov 23 12:35:16 lb haproxy[16697]: 192.0.2.21:34040 [23/Nov/2026:12:35:16.825] raw t/n2 1/0/6 255 -- 1/1/0/0/0 0/0
Nov 23 12:36:16 lb haproxy[16697]: 203.0.113.9:34041 [23/Nov/2026:12:35:16.500] raw~ t/n2 1/0/60001 0 cD 1/1/0/0/0 0/0
Nov 23 12:38:27 lb haproxy[16697]: Proxy web stopped (cumulated conns: FE: 206, BE: 0).`, `
1123 12:35:16.825 open raw #1 192.0.2.21:34040
1123 12:35:16.831 proven raw #1 192.0.2.21 transfer
1123 12:35:16.831 close raw #1 192.0.2.21 held=6ms proven=true fails=0 client
1123 12:35:16.500 open raw #2 203.0.113.9:34041
1123 12:36:16.501 close raw #2 203.0.113.9 held=1m0.001s proven=false fails=0 timeout
`},
		{"http log, bare and IPv6", "haproxy", `
2001:db8::7:10285 [23/Nov/2026:06:56:28.088] fe~ be/s1 0/0/0/1263/1264 200 20602 - - ---- 19/19/3/4/0 0/0 "GET / HTTP/1.1"
[2001:db8::8]:10286 [23/Nov/2026:06:56:28.088] fe~ be/s1 -1/-1/-1/-1/10000 408 0 - - cR-- 19/19/3/4/0 0/0 "<BADREQ>"
::ffff:192.0.2.9:10287 [23/Nov/2026:06:56:30.000] fe be/<NOSRV> 0/5000/-1/-1/5000 503 0 - - sQ-- 19/19/3/4/0 0/0 "GET / HTTP/1.1"
192.0.2.10:10288 [23/Nov/2026:06:56:31.000] fe/1: SSL handshake failure`, `
1123 06:56:28.088 open fe #1 2001:db8::7:10285
1123 06:56:29.352 proven fe #1 2001:db8::7 request
1123 06:56:29.352 close fe #1 2001:db8::7 held=1.264s proven=true fails=0 client
1123 06:56:28.088 open fe #2 2001:db8::8:10286
1123 06:56:38.088 close fe #2 2001:db8::8 held=10s proven=false fails=0 timeout
1123 06:56:35.000 refuse fe #0 192.0.2.9 busy
1123 06:56:31.000 open fe #3 192.0.2.10:10288
1123 06:56:31.000 fail fe #3 192.0.2.10 tls
1123 06:56:31.000 close fe #3 192.0.2.10 held=0s proven=false fails=1 error
`},
		{"a log-format of one's own is no httplog", "haproxy", `
Nov 23 12:31:14 lb haproxy[3025799]: 192.0.2.11:36530 [23/Nov/2026:12:31:14 +0000] 0 6844`, `
`},
		{"combined", "combined", `
192.0.2.23 - - [23/Nov/2026:12:35:16 +0100] "GET /page HTTP/1.1" 200 20000 "-" "curl/7.88.1"
192.0.2.24 - anna [23/Nov/2026:12:35:17 +0000] "GET /page HTTP/1.1" 401 20 "-" "curl/7.88.1"
192.0.2.25 - - [23/Nov/2026:12:35:18 +0000] "\x03\x00" 400 0
2001:db8::9 - - [23/Nov/2026:12:35:19 +0000] "GET / HTTP/1.1" 408 - "-" "-"`, `
1123 11:35:16.000 open www #1 192.0.2.23
1123 11:35:16.000 proven www #1 192.0.2.23 request
1123 11:35:16.000 close www #1 192.0.2.23 held=0s proven=true fails=0 client
1123 12:35:17.000 open www #2 192.0.2.24
1123 12:35:17.000 fail www #2 192.0.2.24 login "anna"
1123 12:35:17.000 close www #2 192.0.2.24 held=0s proven=false fails=1 client
1123 12:35:18.000 open www #3 192.0.2.25
1123 12:35:18.000 fail www #3 192.0.2.25 command
1123 12:35:18.000 close www #3 192.0.2.25 held=0s proven=false fails=1 server
1123 12:35:19.000 open www #4 2001:db8::9
1123 12:35:19.000 close www #4 2001:db8::9 held=0s proven=false fails=0 timeout
`},
		{"with the request's time", "nginx-time", `
203.0.113.9 - - [23/Nov/2026:12:36:16 +0000] "GET / HTTP/1.1" 408 0 "-" "-" 60.001
192.0.2.9 - - [23/Nov/2026:12:36:17 +0000] "GET / HTTP/1.1" 200 12 "-" "-" 0.250`, `
1123 12:35:15.999 open www #1 203.0.113.9
1123 12:36:16.000 close www #1 203.0.113.9 held=1m0.001s proven=false fails=0 timeout
1123 12:36:16.750 open www #2 192.0.2.9
1123 12:36:17.000 proven www #2 192.0.2.9 request
1123 12:36:17.000 close www #2 192.0.2.9 held=250ms proven=true fails=0 client
`},
		{"nginx as JSON", "nginx-json", `
{"time":"2026-11-23T12:35:16+00:00","msec":1795437316.602,"remote_addr":"192.0.2.23","remote_port":46696,"connection":4,"request":"GET / HTTP/1.1","status":200,"bytes":20242,"request_time":0.500,"request_completion":"OK"}
{"time_iso8601":"2026-11-23T13:35:17+01:00","remote_addr":"2001:db8::9","request":"GET /big HTTP/1.1","status":"200","bytes_sent":"12","request_time":"0.000","request_completion":""}`, `
1123 12:35:16.102 open www #1 192.0.2.23:46696
1123 12:35:16.602 proven www #1 192.0.2.23 request
1123 12:35:16.602 close www #1 192.0.2.23 held=500ms proven=true fails=0 client
1123 12:35:17.000 open www #2 2001:db8::9
1123 12:35:17.000 close www #2 2001:db8::9 held=0s proven=false fails=0 reset
`},
		{"virtual hosts", "vhost", `
www.example.org:443 192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET /page HTTP/1.1" 200 20000 "-" "curl/7.88.1"
198.51.100.66 192.0.2.24 - - [23/Nov/2026:12:35:17 +0000] "\x03" 400 0 "-" "-"`, `
1123 12:35:16.000 open www #1 192.0.2.23
1123 12:35:16.000 proven www #1 192.0.2.23 request
1123 12:35:16.000 close www #1 192.0.2.23 held=0s proven=true fails=0 client
1123 12:35:17.000 open www #2 192.0.2.24
1123 12:35:17.000 fail www #2 192.0.2.24 command
1123 12:35:17.000 close www #2 192.0.2.24 held=0s proven=false fails=1 server
`},
		{"access log", "caddy", `
{"level":"info","ts":1795437316.75,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.23","remote_port":"44790","client_ip":"198.51.100.66","headers":{"X-Forwarded-For":["198.51.100.66"]}},"bytes_read":0,"user_id":"","duration":2.5e-1,"size":7,"status":200}
{"level":"info","ts":1795437317,"msg":"serving initial configuration"}
{"level":"info","ts":1795437318,"msg":"handled request","request":{"remote_ip":"2001:db8::9","remote_port":"4"},"user_id":"anna","duration":0.0000027,"size":0,"status":401}`, `
1123 12:35:16.500 open www #1 192.0.2.23:44790
1123 12:35:16.750 proven www #1 192.0.2.23 request
1123 12:35:16.750 close www #1 192.0.2.23 held=250ms proven=true fails=0 client
1123 12:35:17.999 open www #2 2001:db8::9:4
1123 12:35:18.000 fail www #2 2001:db8::9 login "anna"
1123 12:35:18.000 close www #2 2001:db8::9 held=2µs proven=false fails=1 client
`},
		{"access log", "traefik", `
{"ClientAddr":"192.0.2.23:39496","ClientHost":"198.51.100.66,10.0.0.1","ClientUsername":"-","DownstreamStatus":200,"Duration":357313000,"RequestPath":"/x","StartLocal":"2026-11-23T13:35:16.5+01:00","StartUTC":"2026-11-23T12:35:16.5Z"}
{"ClientAddr":"192.0.2.24:1","ClientUsername":"-","DownstreamStatus":499,"Duration":30000000000,"StartUTC":"2026-11-23T12:35:16.5Z"}`, `
1123 12:35:16.500 open www #1 192.0.2.23:39496
1123 12:35:16.857 proven www #1 192.0.2.23 request
1123 12:35:16.857 close www #1 192.0.2.23 held=357.313ms proven=true fails=0 client
1123 12:35:16.500 open www #2 192.0.2.24:1
1123 12:35:46.500 close www #2 192.0.2.24 held=30s proven=false fails=0 reset
`},
		{"access log, out of a container", "envoy", `
2026-11-23T13:35:17.493+01:00 stdout F {":authority":"www.example.com","bytes_received":0,"bytes_sent":121,"downstream_remote_address":"192.0.2.23:59292","duration":11,"response_code":200,"start_time":"2026-11-23T12:35:16.479Z","user-agent":"x","x-forwarded-for":"198.51.100.66","upstream_host":null}
{"downstream_remote_address":"[2001:db8::9]:7","duration":10000,"response_code":0,"start_time":"2026-11-23T12:35:17.000Z"}`, `
1123 12:35:16.479 open www #1 192.0.2.23:59292
1123 12:35:16.490 proven www #1 192.0.2.23 request
1123 12:35:16.490 close www #1 192.0.2.23 held=11ms proven=true fails=0 client
1123 12:35:17.000 open www #2 2001:db8::9:7
1123 12:35:27.000 close www #2 2001:db8::9 held=10s proven=false fails=0 reset
`},
		{"columns", "zeek", `
#separator \x09
#fields	_node	ts	uid	id.orig_h	id.orig_p	id.resp_h	id.resp_p	proto	service	duration	orig_bytes	resp_bytes	conn_state
w1	1795437316.500000	C1	192.0.2.23	1433	192.0.2.1	25	tcp	smtp	3.150262	1250	1694	SF
w1	1795437317.000000	C2	203.0.113.9	34188	192.0.2.1	25	tcp	-	60.000000	0	32	RSTO
w1	1795437318.000000	C3	203.0.113.9	34189	192.0.2.1	26	tcp	-	-	-	-	REJ
w1	1795437318.000000	C3	203.0.113.9	34189	192.0.2.1	53	udp	-	-	1	2	SF
#close	2026-11-23-13-00-00`, `
1123 12:35:16.500 open tcp/25 #1 192.0.2.23:1433
1123 12:35:19.650 proven tcp/25 #1 192.0.2.23 transfer
1123 12:35:19.650 close tcp/25 #1 192.0.2.23 held=3.150262s proven=true fails=0 client
1123 12:35:17.000 open tcp/25 #2 203.0.113.9:34188
1123 12:36:17.000 close tcp/25 #2 203.0.113.9 held=1m0s proven=false fails=0 client
`},
		{"both spellings", "zeek-json", `
{"ts":1795437316.5,"uid":"C1","id_orig_h":"192.0.2.23","id_orig_p":60818,"id_resp_h":"192.0.2.1","id_resp_p":445,"proto":"tcp","duration":10.780650854110718,"orig_bytes":4000,"resp_bytes":1681,"conn_state":"RSTO"}
{"ts":1795437317.5,"uid":"C2","id.orig_h":"2001:db8::9","id.orig_p":61099,"id.resp_h":"192.0.2.1","id.resp_p":22,"proto":"tcp","duration":9.0,"orig_bytes":50,"resp_bytes":0,"conn_state":"SF"}`, `
1123 12:35:16.500 open tcp/445 #1 192.0.2.23:60818
1123 12:35:27.280 proven tcp/445 #1 192.0.2.23 transfer
1123 12:35:27.280 close tcp/445 #1 192.0.2.23 held=10.78065s proven=true fails=0 client
1123 12:35:17.500 open tcp/22 #2 2001:db8::9:61099
1123 12:35:26.500 close tcp/22 #2 2001:db8::9 held=9s proven=false fails=0 client
`},
		{"flows", "suricata", `
{"timestamp":"2026-11-23T12:35:18.813720+0000","event_type":"http","src_ip":"192.0.2.23","src_port":41562,"dest_port":80,"proto":"TCP","http":{"hostname":"flow"}}
{"timestamp":"2026-11-23T12:36:18.813720+0000","event_type":"flow","src_ip":"192.0.2.23","src_port":41562,"dest_ip":"192.0.2.1","dest_port":80,"proto":"TCP","flow":{"bytes_toserver":766,"bytes_toclient":9,"start":"2026-11-23T12:35:16.5+0000","end":"2026-11-23T12:35:18+0000","state":"closed"}}`, `
1123 12:35:16.500 open tcp/80 #1 192.0.2.23:41562
1123 12:35:18.000 proven tcp/80 #1 192.0.2.23 transfer
1123 12:35:18.000 close tcp/80 #1 192.0.2.23 held=1.5s proven=true fails=0 client
`},
		{"a message, a guesser, a holder", "postfix", `
Nov 23 12:35:16 mx postfix/smtpd[17028]: connect from mail.example.org[192.0.2.21]
Nov 23 12:35:16 mx postfix/smtpd[17028]: C18EE984278: client=mail.example.org[192.0.2.21]
Nov 23 12:35:16 mx postfix/cleanup[17049]: C18EE984278: message-id=<1@example.org>
Nov 23 12:35:17 mx postfix/qmgr[16838]: C18EE984278: from=<a@example.org>, size=399, nrcpt=1 (queue active)
Nov 23 12:35:18 mx postfix/smtpd[17028]: disconnect from mail.example.org[192.0.2.21] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5
Nov 23 12:35:32 mx postfix/submission/smtpd[17423]: connect from unknown[203.0.113.26]
Nov 23 12:35:35 mx postfix/submission/smtpd[17423]: warning: unknown[203.0.113.26]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=root
Nov 23 12:35:36 mx postfix/submission/smtpd[17423]: lost connection after AUTH from unknown[203.0.113.26]
Nov 23 12:35:36 mx postfix/submission/smtpd[17423]: disconnect from unknown[203.0.113.26] ehlo=1 auth=0/1 commands=1/2
Nov 23 12:35:40 mx postfix/smtpd[17440]: connect from unknown[2001:db8::16]
Nov 23 12:36:40 mx postfix/smtpd[17440]: timeout after CONNECT from unknown[2001:db8::16]
Nov 23 12:36:40 mx postfix/smtpd[17440]: disconnect from unknown[2001:db8::16] commands=0/0`, `
1123 12:35:16.000 open smtp #1 192.0.2.21
1123 12:35:17.000 proven smtp #1 192.0.2.21 message
1123 12:35:18.000 close smtp #1 192.0.2.21 held=2s proven=true fails=0 client
1123 12:35:32.000 open submission #2 203.0.113.26
1123 12:35:35.000 fail submission #2 203.0.113.26 login "root"
1123 12:35:36.000 close submission #2 203.0.113.26 held=4s proven=false fails=1 reset
1123 12:35:40.000 open smtp #3 2001:db8::16
1123 12:36:40.000 close smtp #3 2001:db8::16 held=1m0s proven=false fails=0 timeout
`},
		{"refusals, and who is turned away", "postfix", `
Nov 23 12:35:16 mx postfix/master[16836]: warning: service "smtp" (25) has reached its process limit "100": new clients may experience noticeable delays
Nov 23 12:35:17 mx postfix/smtpd[1]: warning: Connection concurrency limit exceeded: 51 from unknown[203.0.113.9] for service smtp
2026-11-23T12:35:18.250000+00:00 mx postfix/postscreen[2]: NOQUEUE: reject: CONNECT from [203.0.113.10]:34567: all server ports busy
Nov 23 12:35:19 mx postfix/smtpd[3]: NOQUEUE: reject: RCPT from x.example.org[192.0.2.7]: 554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b> proto=SMTP helo=<198.51.100.17>
Nov 23 12:35:20 mx postfix/smtpd[3]: disconnect from x.example.org[192.0.2.7]
Nov 23 12:35:21 mx postfix/smtpd[3]: F00: client=x.example.org[192.0.2.7], sasl_method=LOGIN, sasl_username=anna@example.org
Nov 23 12:35:22 mx postfix/smtpd[3]: connect from x.example.org[192.0.2.7]
Nov 23 12:35:23 mx postfix/smtpd[3]: disconnect from x.example.org[192.0.2.7] ehlo=1 auth=1 mail=1 rcpt=1 data=0/1 commands=4/5
Nov 23 12:35:24 mx postfix/smtpd[3]: improper command pipelining after AUTH from unknown[192.0.2.8]: QUIT from x[9.9.9.9]`, `
1123 12:35:16.000 refuse smtp #0 busy
1123 12:35:17.000 refuse smtp #0 203.0.113.9 sessions
1123 12:35:18.250 refuse smtp #0 203.0.113.10 busy
1123 12:35:19.000 fail smtp #0 192.0.2.7 recipient
! formats: an end without a beginning
1123 12:35:21.000 proven smtp #0 192.0.2.7 login "anna@example.org"
1123 12:35:22.000 open smtp #1 192.0.2.7
1123 12:35:23.000 proven smtp #1 192.0.2.7 login
1123 12:35:23.000 close smtp #1 192.0.2.7 held=1s proven=true fails=0 client
1123 12:35:24.000 fail smtp #0 192.0.2.8 command
`},
		{"a process that begins again has lost an end", "postfix", `
Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]
Nov 23 12:35:26 mx postfix/smtpd[3]: connect from b[192.0.2.8]`, `
1123 12:35:16.000 open smtp #1 192.0.2.7
1123 12:35:26.000 close smtp #1 192.0.2.7 held=10s proven=false fails=0 error
1123 12:35:26.000 open smtp #2 192.0.2.8
`},
		{"own log and syslog", "dovecot", `
Nov 23 12:35:16 imap-login: Info: Login: user=<alice>, method=PLAIN, rip=192.0.2.21, lip=192.0.2.1, mpid=17062, session=<4rB80/Bg0NsKTQAV>
Nov 23 12:36:16 imap(alice)<17062><4rB80/Bg0NsKTQAV>: Info: Disconnected: Logged out in=32 out=556
Nov 23 12:36:17 imap-login: Info: Disconnected: Connection closed (auth failed, 3 attempts in 30 secs): user=<admin>, method=LOGIN, rip=203.0.113.17, lip=192.0.2.1, session=<x>
Nov 23 12:36:18 mx dovecot: pop3-login: Disconnected: Inactivity (no auth attempts in 178 secs): user=<>, rip=2001:db8::5, lip=192.0.2.1
Nov 23 12:36:19 mx dovecot[442]: imap-login: Disconnected: Too many invalid commands. (no auth attempts in 0 secs): user=<>, rip=192.0.2.5, lip=127.0.0.1
Nov 23 12:36:20 mx dovecot: pop3-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.6, lip=192.0.2.1, mpid=18, TLS
Nov 23 12:36:21 mx dovecot: master: Warning: service(imap-login): process_limit (100) reached, client connections are being dropped
Nov 23 12:36:22 mx dovecot: auth-worker(24544): pam(toto,192.0.2.9): unknown user`, `
1123 12:35:16.000 open imap #1 192.0.2.21
1123 12:35:16.000 proven imap #1 192.0.2.21 login "alice"
1123 12:36:16.000 close imap #1 192.0.2.21 held=1m0s proven=true fails=0 client
1123 12:35:47.000 open imap #2 203.0.113.17
1123 12:36:17.000 fail imap #2 203.0.113.17 login "admin"
1123 12:36:17.000 fail imap #2 203.0.113.17 login "admin"
1123 12:36:17.000 fail imap #2 203.0.113.17 login "admin"
1123 12:36:17.000 close imap #2 203.0.113.17 held=30s proven=false fails=3 client
1123 12:33:20.000 open pop3 #3 2001:db8::5
1123 12:36:18.000 close pop3 #3 2001:db8::5 held=2m58s proven=false fails=0 timeout
1123 12:36:19.000 open imap #4 192.0.2.5
1123 12:36:19.000 fail imap #4 192.0.2.5 command
1123 12:36:19.000 close imap #4 192.0.2.5 held=0s proven=false fails=1 server
1123 12:36:20.000 open pop3 #5 192.0.2.6
1123 12:36:20.000 proven pop3 #5 192.0.2.6 login "bob"
1123 12:36:20.000 close pop3 #5 192.0.2.6 held=0s proven=true fails=0 client
1123 12:36:21.000 refuse imap #0 busy
`},
		{"a guesser and a user", "openssh", `
2026-11-23T12:35:31.692980+00:00 vm sshd[17381]: Connection from 203.0.113.14 port 40410 on 192.0.2.1 port 22 rdomain ""
2026-11-23T12:35:32.000000+00:00 vm sshd[17381]: Invalid user pascal from 203.0.113.14 port 40410
2026-11-23T12:35:33.000000+00:00 vm sshd[17381]: Failed password for invalid user pascal from 203.0.113.14 port 40410 ssh2
2026-11-23T12:35:34.000000+00:00 vm sshd[17381]: Failed password for invalid user pascal from 203.0.113.14 port 40410 ssh2
2026-11-23T12:35:35.692980+00:00 vm sshd[17381]: Connection closed by invalid user pascal 203.0.113.14 port 40410 [preauth]
<38>1 2026-11-23T12:35:36Z vm sshd-session 9 - - Accepted publickey for anna from 2001:db8::1 port 5000 ssh2: RSA SHA256:v3dpapGleDaUKf
Nov 23 12:35:37 vm sshd[9]: Disconnected from user anna 2001:db8::1 port 5000
Nov 23 12:35:38 vm sshd[1]: drop connection #10 from [203.0.113.15]:4711 on [192.0.2.1]:22 past MaxStartups
Nov 23 12:35:39 vm sshd[2]: User root from 203.0.113.16 not allowed because not listed in AllowUsers
Nov 23 12:35:40 vm sshd[2]: fatal: Unable to negotiate with 203.0.113.17 port 55419: no matching key exchange method found. Their offer: x from 9.9.9.9 port 1
Nov 23 12:35:41 vm sshd[3]: Failed none for anna from 192.0.2.3 port 4 ssh2
Nov 23 12:35:42 vm sshd[3]: fatal: Timeout before authentication for 192.0.2.3 port 4`, `
1123 12:35:31.692 open ssh #1 203.0.113.14:40410
1123 12:35:32.000 fail ssh #1 203.0.113.14 login "pascal"
1123 12:35:34.000 fail ssh #1 203.0.113.14 login "pascal"
1123 12:35:35.692 close ssh #1 203.0.113.14 held=4s proven=false fails=2 client
1123 12:35:36.000 proven ssh #0 2001:db8::1 login "anna"
! formats: an end without a beginning
1123 12:35:38.000 refuse ssh #0 203.0.113.15 busy
1123 12:35:39.000 fail ssh #0 203.0.113.16 login "root"
1123 12:35:40.000 fail ssh #0 203.0.113.17 command
! formats: an end without a beginning
`},
		{"no ends", "vsftpd", `
Mon Nov 23 12:35:36 2026 [pid 17602] CONNECT: Client "203.0.113.15"
Mon Nov 23 12:35:39 2026 [pid 17605] [root] FAIL LOGIN: Client "::ffff:203.0.113.15", "User is not in the allow user list."
Mon Nov  9 12:35:40 2026 [pid 7] [anna] OK LOGIN: Client "192.0.2.7"
Mon Nov 9 12:35:41 2026 [pid 7] CONNECT: Client "192.0.2.8", "Connection refused: too many sessions for this address."
Mon Nov 23 12:35:42 2026 [pid 7] [anna] OK DOWNLOAD: Client "192.0.2.7", "/x", 773 bytes, 549.81Kbyte/sec`, `
1123 12:35:36.000 open ftp #1 203.0.113.15
1123 12:35:36.000 close ftp #1 203.0.113.15 held=0s proven=false fails=0
1123 12:35:39.000 fail ftp #0 203.0.113.15 login "root"
1109 12:35:40.000 proven ftp #0 192.0.2.7 login "anna"
1109 12:35:41.000 refuse ftp #0 192.0.2.8 sessions
`},
		{"native", "squid", `
1795437328.810    271 192.0.2.22 TCP_MISS/200 2000329 GET http://192.0.2.1/big.bin - HIER_DIRECT/192.0.2.1 text/plain
1795437329.000  60000 192.0.2.23 TCP_MISS_ABORTED/200 0 GET http://192.0.2.1/big.bin - HIER_DIRECT/192.0.2.1 text/plain
1795437330.000      4 192.0.2.24 TCP_DENIED/403 4099 GET http://www.example.org/ - HIER_NONE/- text/html`, `
1123 12:35:28.539 open proxy #1 192.0.2.22
1123 12:35:28.810 proven proxy #1 192.0.2.22 request
1123 12:35:28.810 close proxy #1 192.0.2.22 held=271ms proven=true fails=0 client
1123 12:34:29.000 open proxy #2 192.0.2.23
1123 12:35:29.000 close proxy #2 192.0.2.23 held=1m0s proven=false fails=0 reset
1123 12:35:29.996 open proxy #3 192.0.2.24
1123 12:35:30.000 close proxy #3 192.0.2.24 held=4ms proven=false fails=0 server
`},
		{"tarpit", "endlessh", `
2026-11-23T12:35:11.483Z MaxClients 4096
2026-11-23T12:35:34.765Z ACCEPT host=::ffff:203.0.113.24 port=43360 fd=4 n=1/4096
2026-11-23T12:36:37.771Z CLOSE host=::ffff:203.0.113.24 port=43360 fd=4 time=63.006 bytes=410
2026-11-23T12:36:38.000Z CLOSE host=203.0.113.25 port=43361 fd=5 time=10.000 bytes=410`, `
1123 12:35:34.765 open endlessh #1 203.0.113.24:43360 1/4096
1123 12:36:37.771 close endlessh #1 203.0.113.24 held=1m3.006s proven=false fails=0 client
1123 12:36:28.000 open endlessh #2 203.0.113.25:43361
1123 12:36:38.000 close endlessh #2 203.0.113.25 held=10s proven=false fails=0 client
`},
		{"a message, a guesser, who is in the way", "exim", `
2026-11-23 12:35:16 SMTP connection from [192.0.2.21]:4000 I=[192.0.2.1]:25 (TCP/IP connection count = 1)
2026-11-23 12:35:17 1tEqXx-000000001Ab-2CdE <= anna@example.org H=mail.example.org (mail) [192.0.2.21]:4000 P=esmtps S=1234 id=x@y
2026-11-23 12:35:18 SMTP connection from mail.example.org (mail) [192.0.2.21]:4000 closed by QUIT
2026-11-23 12:35:19 [13314] login authenticator failed for ([198.51.100.66]) [203.0.113.26]:5000 I=[192.0.2.1]:25: 535 Incorrect authentication data (set_id=root)
2026-11-23 12:35:20 H=(yakult.example.org) [203.0.113.27]:3755 I=[192.0.2.1]:25 F=<a@b> rejected RCPT <c@d>: relay not permitted
2026-11-23 12:35:30 no MAIL in SMTP connection from (User) [203.0.113.28]:20042 I=[192.0.2.1]:25 D=9.500s C=EHLO,AUTH,QUIT
2026-11-23 12:35:31 Connection from [203.0.113.29]:4711 refused: too many connections
2026-11-23 12:35:32 SMTP call from [203.0.113.30] dropped: too many unrecognized commands (last was "H=x [198.51.100.66]")
2026-11-23 12:35:33 no host name found for IP address 192.0.2.8`, `
1123 12:35:16.000 open smtp #1 192.0.2.21:4000
1123 12:35:17.000 proven smtp #1 192.0.2.21 message
1123 12:35:18.000 close smtp #1 192.0.2.21 held=2s proven=true fails=0 client
1123 12:35:19.000 fail smtp #0 203.0.113.26 login "root"
1123 12:35:20.000 fail smtp #0 203.0.113.27 recipient
1123 12:35:20.500 open smtp #2 203.0.113.28:20042
1123 12:35:30.000 close smtp #2 203.0.113.28 held=9.5s proven=false fails=0 client
1123 12:35:31.000 refuse smtp #0 203.0.113.29 busy
1123 12:35:32.000 fail smtp #0 203.0.113.30 command
`},
		{"own log and syslog", "proftpd", `
2026-11-23 12:35:16,124 mantis proftpd[498625] mantis (192.0.2.142[192.0.2.142]): FTP session opened.
2026-11-23 12:35:17,124 mantis proftpd[498625] mantis (192.0.2.142[192.0.2.142]): USER asd: no such user found from 192.0.2.142 [192.0.2.142] to ::ffff:192.0.2.1:21
2026-11-23 12:35:18,124 mantis proftpd[498625] mantis (192.0.2.142[192.0.2.142]): USER anna: Login successful.
2026-11-23 12:35:19,124 mantis proftpd[498625] mantis (192.0.2.142[192.0.2.142]): FTP session closed.
Nov 23 12:35:20 serv1 proftpd[70944]: serv1.example.org (example.com[::ffff:203.0.113.4]) - USER seb (Login failed): Incorrect password.
Nov 23 12:35:21 serv1 proftpd[70945]: serv1.example.org (example.com[203.0.113.5]) - Connection refused (max clients 30).`, `
1123 12:35:16.124 open ftp #1 192.0.2.142
1123 12:35:17.124 fail ftp #1 192.0.2.142 login "asd"
1123 12:35:18.124 proven ftp #1 192.0.2.142 login "anna"
1123 12:35:19.124 close ftp #1 192.0.2.142 held=3s proven=true fails=1 client
1123 12:35:20.000 fail ftp #0 203.0.113.4 login "seb"
1123 12:35:21.000 refuse ftp #0 203.0.113.5 busy
`},
		{"sessions", "cowrie", `
{"eventid": "cowrie.session.connect", "src_ip": "203.0.113.6", "src_port": 60193, "timestamp": "2026-11-23T12:35:16.5Z", "session": "191db3671ce2", "protocol": "ssh"}
{"eventid": "cowrie.login.failed", "username": "root", "timestamp": "2026-11-23T12:35:17.5Z", "src_ip": "203.0.113.6", "session": "191db3671ce2", "password": "x"}
{"eventid": "cowrie.direct-tcpip.request", "timestamp": "2026-11-23T12:35:17.6Z", "dst_ip": "198.51.100.66", "src_ip": "203.0.113.6", "session": "191db3671ce2"}
{"eventid": "cowrie.login.success", "username": "root", "timestamp": "2026-11-23T12:35:18.5Z", "src_ip": "203.0.113.6", "session": "191db3671ce2", "password": "y"}
{"eventid": "cowrie.session.closed", "timestamp": "2026-11-23T12:35:26.5Z", "src_ip": "203.0.113.6", "duration": 10.0, "session": "191db3671ce2"}
{"eventid": "cowrie.session.closed", "timestamp": "2026-11-23T12:35:27.5Z", "src_ip": "203.0.113.7", "duration": "2.5", "session": "other"}`, `
1123 12:35:16.500 open ssh #1 203.0.113.6:60193
1123 12:35:17.500 fail ssh #1 203.0.113.6 login "root"
1123 12:35:18.500 proven ssh #1 203.0.113.6 login "root"
1123 12:35:26.500 close ssh #1 203.0.113.6 held=10s proven=true fails=1 client
1123 12:35:25.000 open ssh #2 203.0.113.7
1123 12:35:27.500 close ssh #2 203.0.113.7 held=2.5s proven=false fails=0 client
`},
		{"application", "aws-alb", `
https 2026-11-23T12:35:16.500000Z app/x/1 192.0.2.10:44740 10.0.0.1:80 0.100 0.301 0.099 200 200 34 366 "GET https://www.example.com:443/ HTTP/1.1" "198.51.100.66:1" - -
h2 2026-11-23T12:35:17.500000Z app/x/1 [2001:db8::9]:44741 - -1 -1 -1 460 - 34 0 "POST https://www.example.com:443/ HTTP/2.0" "x" - -`, `
1123 12:35:16.000 open www #1 192.0.2.10:44740
1123 12:35:16.500 proven www #1 192.0.2.10 request
1123 12:35:16.500 close www #1 192.0.2.10 held=500ms proven=true fails=0 client
1123 12:35:17.500 open www #2 2001:db8::9:44741
1123 12:35:17.500 close www #2 2001:db8::9 held=0s proven=false fails=0 client
`},
		{"classic, HTTP and TCP", "aws-elb", `
2026-11-23T12:35:16.500000Z my-elb 192.0.2.10:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -
2026-11-23T12:35:17.500000Z my-elb 192.0.2.11:2817 10.0.0.1:80 0.001069 2.000000 0.000041 - - 82 305 "- - - " "-" - -`, `
1123 12:35:16.500 open www #1 192.0.2.10:2817
1123 12:35:16.501 proven www #1 192.0.2.10 request
1123 12:35:16.501 close www #1 192.0.2.10 held=1.178ms proven=true fails=0 client
1123 12:35:17.500 open www #2 192.0.2.11:2817
1123 12:35:19.501 proven www #2 192.0.2.11 transfer
1123 12:35:19.501 close www #2 192.0.2.11 held=2.00111s proven=true fails=0 client
`},
		{"several programs", "syslog", `
Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]
Nov 23 12:35:17 mx sshd[2]: Failed password for root from 203.0.113.14 port 40410 ssh2
Nov 23 12:35:18 mx dovecot: pop3-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.6, lip=192.0.2.1, mpid=18
Nov 23 12:35:19 mx kernel: something else`, `
1123 12:35:16.000 open smtp #1 192.0.2.7
1123 12:35:17.000 fail ssh #0 203.0.113.14 login "root"
1123 12:35:18.000 open pop3 #2 192.0.2.6
1123 12:35:18.000 proven pop3 #2 192.0.2.6 login "bob"
1123 12:35:18.000 close pop3 #2 192.0.2.6 held=0s proven=true fails=0 client
`},
	}
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
	if n := parser.Finish(nil); n != 1 {
		t.Errorf("%d open at the end, want 1", n)
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
