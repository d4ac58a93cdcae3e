package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"overstay/connlog"
)

// benchLines is a log of each format, of many clients, as it is in practice.
func benchLines(name string) [][]byte {
	var out [][]byte
	line := func(parts ...string) { out = append(out, []byte(strings.Join(parts, ""))) }
	for i := range 2000 {
		second := "12:" + two2(i/60%60) + ":" + two2(i%60)
		ip := []string{"203.0.113.", "198.51.100."}[i%2] + strconv.Itoa(i%251)
		port, pid := strconv.Itoa(20000+i), strconv.Itoa(1000+i%50)
		switch name {
		case "haproxy":
			line("Nov 23 ", second, " lb1 haproxy[1697]: ", ip, ":", port, " [23/Nov/2026:", second, ".825] web~ app/server-", pid, " 0/0/1/12/14 200 20318 - - ---- 121/121/12/3/0 0/0 \"GET /static/app/main.css?v=1032 HTTP/1.1\"")
		case "combined", "nginx-time":
			tail := ""
			if name == "nginx-time" {
				tail = " 0.0" + two2(i%60)
			}
			line(ip, " - - [23/Nov/2026:", second, " +0000] \"GET /static/app/main.css?v=1032 HTTP/1.1\" 200 20318 \"https://www.example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0\"", tail)
		case "nginx-json":
			line(`{"time":"2026-11-23T`, second, `+00:00","msec":1795437316.`, two2(i%60), `4,"remote_addr":"`, ip, `","remote_port":`, port, `,"connection":`, pid, `,"connection_requests":1,"connection_time":0.000,"request":"GET /static/app/main.css HTTP/1.1","status":200,"bytes":20242,"request_time":0.012,"request_completion":"OK"}`)
		case "vhost":
			line("www.example.org:443 ", ip, " - - [23/Nov/2026:", second, " +0000] \"GET /static/app/main.css?v=1032 HTTP/1.1\" 200 20318 \"https://www.example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0\"")
		case "caddy":
			line(`{"level":"info","ts":17954373`, two2(i%60), `.7564,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"`, ip, `","remote_port":"`, port, `","client_ip":"`, ip, `","proto":"HTTP/2.0","method":"GET","host":"www.example.org","uri":"/static/app/main.css","headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"],"Accept":["*/*"]}},"bytes_read":0,"user_id":"","duration":0.0125,"size":20318,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/css"]}}`)
		case "traefik":
			line(`{"ClientAddr":"`, ip, `:`, port, `","ClientHost":"`, ip, `","ClientPort":"`, port, `","ClientUsername":"-","DownstreamContentSize":357,"DownstreamStatus":200,"Duration":357313,"OriginContentSize":357,"OriginDuration":324669,"OriginStatus":200,"RequestCount":190,"RequestHost":"www.example.org","RequestMethod":"GET","RequestPath":"/static/app/main.css","RequestProtocol":"HTTP/1.1","ServiceName":"test@docker","StartLocal":"2026-11-23T`, second, `.587Z","StartUTC":"2026-11-23T`, second, `.587782192Z","entryPointName":"http","level":"info","msg":"","time":"2026-11-23T`, second, `Z"}`)
		case "traefik-tcp":
			line(`time="2026-11-23T`, second, `Z" level=debug msg="Handling TCP connection from `, ip, `:`, port, ` to 192.0.2.1:21116"`)
		case "envoy":
			line(`{":authority":"www.example.com","bytes_received":0,"bytes_sent":121258,"downstream_local_address":"192.0.2.1:10443","downstream_remote_address":"`, ip, `:`, port, `","duration":11,"method":"GET","protocol":"HTTP/2","response_code":200,"response_code_details":"via_upstream","response_flags":"-","start_time":"2026-11-23T`, second, `.479Z","upstream_host":"192.0.2.82:8080","user-agent":"Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0","x-forwarded-for":"`, ip, `","x-request-id":"01234567-89ab-cdef-0123-456789abcdef"}`)
		case "zeek":
			if i == 0 {
				line("#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents")
			}
			line("17954373", two2(i%60), ".913119\tCaAbBcCdDeEfFgGhH\t", ip, "\t", port, "\t192.0.2.1\t443\ttcp\tssl\t0.084044\t1030\t20275\tSF\tT\tT\t0\tShADadFf\t18\t1974\t14\t21011\t-")
		case "zeek-json":
			line(`{"ts":17954373`, two2(i%60), `.186129,"uid":"CaAbBcCdDeEfFgGh1","id.orig_h":"`, ip, `","id.orig_p":`, port, `,"id.resp_h":"192.0.2.1","id.resp_p":443,"proto":"tcp","service":"ssl","duration":10.780650,"orig_bytes":4000,"resp_bytes":1681,"conn_state":"SF","missed_bytes":0,"history":"ShADdaR","orig_pkts":12,"orig_ip_bytes":1307,"resp_pkts":10,"resp_ip_bytes":2093}`)
		case "suricata":
			line(`{"timestamp":"2026-11-23T`, second, `.405139+0000","flow_id":1234567890123456,"event_type":"flow","src_ip":"`, ip, `","src_port":`, port, `,"dest_ip":"192.0.2.1","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":12,"pkts_toclient":10,"bytes_toserver":766,"bytes_toclient":9124,"start":"2026-11-23T`, second, `.405139+0000","end":"2026-11-23T`, second, `.957788+0000","age":0,"state":"closed","reason":"timeout","alerted":false},"tcp":{"tcp_flags":"1b","state":"closed"}}`)
		case "postfix":
			head, id := "Nov 23 "+second+" mx1 postfix/", "A1B2C3D"+strconv.Itoa(10000+i)
			line(head, "smtpd[", pid, "]: connect from mail.example.org[", ip, "]")
			line(head, "smtpd[", pid, "]: ", id, ": client=mail.example.org[", ip, "]")
			line(head, "cleanup[2049]: ", id, ": message-id=<20261123123516.012345@mail.example.org>")
			line(head, "qmgr[2838]: ", id, ": from=<a@example.org>, size=3994, nrcpt=1 (queue active)")
			line(head, "smtpd[", pid, "]: disconnect from mail.example.org[", ip, "] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5")
			line(head, "lmtp[17053]: ", id, ": to=<b@example.net>, relay=mx1[private/dovecot-lmtp], delay=0.03, delays=0.02/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)")
			line(head, "qmgr[2838]: ", id, ": removed")
		case "exim":
			line("2026-11-23 ", second, " SMTP connection from [", ip, "]:", port, " I=[192.0.2.1]:25 (TCP/IP connection count = 1)")
			line("2026-11-23 ", second, " 1tEqXx-000000001Ab-2CdE <= anna@example.org H=mail.example.org (mail) [", ip, "]:", port, " I=[192.0.2.1]:25 P=esmtps X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no S=1234 id=x@example.org")
			line("2026-11-23 ", second, " SMTP connection from mail.example.org (mail) [", ip, "]:", port, " I=[192.0.2.1]:25 closed by QUIT")
		case "proftpd":
			line("2026-11-23 ", second, ",124 ftp1 proftpd[", pid, "] ftp1.example.org (mail.example.org[", ip, "]): FTP session opened.")
			line("2026-11-23 ", second, ",224 ftp1 proftpd[", pid, "] ftp1.example.org (mail.example.org[", ip, "]): USER anton (Login failed): Incorrect password")
			line("2026-11-23 ", second, ",324 ftp1 proftpd[", pid, "] ftp1.example.org (mail.example.org[", ip, "]): FTP session closed.")
		case "cowrie":
			line(`{"eventid": "cowrie.session.connect", "src_ip": "`, ip, `", "src_port": `, port, `, "timestamp": "2026-11-23T`, second, `.139503Z", "message": "New connection: `, ip, `:`, port, ` (192.0.2.1:2222) [session: 0123456789`, port, `]", "dst_ip": "192.0.2.1", "system": "cowrie.ssh.factory.CowrieSSHFactory", "protocol": "ssh", "isError": 0, "session": "0123456789`, port, `", "dst_port": 2222, "sensor": "ba9876543210"}`)
			line(`{"eventid": "cowrie.session.closed", "timestamp": "2026-11-23T`, second, `.339503Z", "src_ip": "`, ip, `", "duration": 0.2, "message": "Connection lost after 0 seconds", "session": "0123456789`, port, `", "sensor": "ba9876543210"}`)
		case "aws-alb":
			line("https 2026-11-23T", second, ".186641Z app/my-alb/0123456789abcdef ", ip, ":", port, " 192.0.2.80:80 0.086 0.048 0.037 200 200 0 57 \"GET https://www.example.com:443/robots.txt HTTP/1.1\" \"curl/7.46.0\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/fedcba9876543210 \"Root=1-01234567-0123456789abcdef01234567\" \"www.example.com\" \"-\" 1 2026-11-23T", second, ".000000Z \"forward\" \"-\" \"-\"")
		case "aws-elb":
			line("2026-11-23T", second, ".945958Z my-elb ", ip, ":", port, " 192.0.2.80:80 0.000073 0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" - -")
		case "overstay":
			line(`{"time":"2026-11-23T`, second, `.500000Z","event":"open","boot":"k3v9s0q2m4x7a1bz","seq":`, strconv.Itoa(2*i+1), `,"service":"smtp","conn":`, strconv.Itoa(i+1), `,"client_ip":"`, ip, `","client_port":`, port, `,"busy":1,"threads":100}`)
			line(`{"time":"2026-11-23T`, second, `.700000Z","event":"close","boot":"k3v9s0q2m4x7a1bz","seq":`, strconv.Itoa(2*i+2), `,"service":"smtp","conn":`, strconv.Itoa(i+1), `,"client_ip":"`, ip, `","held_us":200000,"bytes_in":4,"bytes_out":45,"end":"client"}`)
		case "aws-vpc":
			line("2 123456789010 eni-0a1b2c3d123456789 ", ip, " 192.0.2.1 ", port, " 443 6 20 4249 17954373", two2(i%60), " 17954374", two2(i%60), " ACCEPT OK")
		case "dovecot":
			head, id := "Nov 23 "+second+" mx1 dovecot: ", "aAbBcCdDeEfF"+strconv.Itoa(i)
			line(head, "imap-login: Login: user=<alice@example.org>, method=PLAIN, rip=", ip, ", lip=192.0.2.1, mpid=2062, TLS, session=<", id, ">")
			line(head, "imap(alice@example.org)<2062><", id, ">: Disconnected: Logged out in=32 out=556 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0")
		case "openssh":
			head := "Nov 23 " + second + " vm sshd[" + pid + "]: "
			line(head, "Connection from ", ip, " port ", port, " on 192.0.2.1 port 22 rdomain \"\"")
			line(head, "Invalid user walter from ", ip, " port ", port)
			line(head, "Failed password for invalid user walter from ", ip, " port ", port, " ssh2")
			line(head, "Connection closed by invalid user walter ", ip, " port ", port, " [preauth]")
		case "nginx-error":
			line("2026/11/23 ", second, " [error] 2865#2865: *", port, " limiting connections by zone \"perip\", client: ", ip, ", server: www.example.org, request: \"GET /static/app/main.css?v=1032 HTTP/1.1\", host: \"www.example.org\", referrer: \"https://www.example.org/\"")
		case "apache-error":
			line("[Mon Nov 23 ", second, ".250000 2026] [auth_basic:error] [pid 17540:tid 140123070736128] [client ", ip, ":", port, "] AH01617: user anna: authentication failure for \"/private/index.html\": Password Mismatch")
		case "cowrie-text":
			head := "2026-11-23T" + second + ".563265+0000 ["
			line(head, "cowrie.ssh.factory.CowrieSSHFactory] New connection: ", ip, ":", port, " (192.0.2.1:2222) [session: 0123456789", port, "]")
			line(head, "HoneyPotSSHTransport,", strconv.Itoa(i), ",", ip, "] Remote SSH version: SSH-2.0-libssh2_1.8.2")
			line(head, "HoneyPotSSHTransport,", strconv.Itoa(i), ",", ip, "] Connection lost after 0 seconds")
		case "gms":
			line("SMTP 23 Nov 2026 ", second, " I 30012 ", pid, " Connection from ", ip)
			line("SMTP 23 Nov 2026 ", second, " A 30840 ", pid, " RCPT TO:<anna@example.org>")
			line("SMTP 23 Nov 2026 ", second, " I 30013 ", pid, " Connection closed")
		case "vsftpd":
			line("Mon Nov 23 ", second, " 2026 [pid ", pid, "] CONNECT: Client \"", ip, "\"")
			line("Mon Nov 23 ", second, " 2026 [pid ", pid, "] [root] FAIL LOGIN: Client \"", ip, "\"")
		case "squid":
			line("17954373", strconv.Itoa(10+i%80), ".810    271 ", ip, " TCP_MISS/200 20325 GET http://www.example.org/static/app/main.css - HIER_DIRECT/192.0.2.1 text/css")
		case "endlessh":
			line("2026-11-23T", second, ".765Z ACCEPT host=", ip, " port=", port, " fd=4 n=1/4096")
			line("2026-11-23T", second, ".971Z CLOSE host=", ip, " port=", port, " fd=4 time=0.206 bytes=410")
		}
	}
	return out
}

func two2(n int) string {
	s := strconv.Itoa(n)
	return "00"[:2-len(s)] + s
}

func BenchmarkParse(b *testing.B) {
	for _, f := range All() {
		lines := benchLines(f.Name)
		if len(lines) == 0 {
			continue
		}
		b.Run(f.Name, func(b *testing.B) {
			size := len(bytes.Join(lines, []byte("\n")))
			p := f.NewParser(Options{Now: now()})
			events := 0
			count := func(*connlog.Event) { events++ }
			b.ReportAllocs()
			b.SetBytes(int64(size))
			begin := cpuTime(b)
			for b.Loop() {
				for _, line := range lines {
					_ = p.Parse(line, count)
				}
			}
			// Unlike MB/s it means something on a machine that does other things as well.
			b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpuTime(b)-begin).Seconds(), "MB/cpu-s")
			if events == 0 {
				b.Error("no events")
			}
			b.ReportMetric(float64(len(lines)), "lines/op")
		})
	}
}

// BenchmarkJSONOfTheLibrary is what the speeds above are to be compared with.
func BenchmarkJSONOfTheLibrary(b *testing.B) {
	lines := benchLines("overstay")
	size := len(bytes.Join(lines, []byte("\n")))
	b.ReportAllocs()
	b.SetBytes(int64(size))
	begin := cpuTime(b)
	for b.Loop() {
		for _, line := range lines {
			var keys map[string]any
			if err := json.Unmarshal(line, &keys); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpuTime(b)-begin).Seconds(), "MB/cpu-s")
}

// cpuTime is that of the process.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// TestBenchmarkedLinesTell keeps the benchmarks honest: their logs are of the
// format, and give events.
func TestBenchmarkedLinesTell(t *testing.T) {
	for _, f := range All() {
		lines := benchLines(f.Name)
		if f.Name == "syslog" {
			continue
		}
		lines = lines[:min(len(lines), 300)]
		if got, ok := Detect(append(bytes.Join(lines, []byte("\n")), '\n')); !ok || got.Name != f.Name {
			t.Errorf("%s is taken for %q", f.Name, got.Name)
		}
		p, events := f.NewParser(Options{Now: now()}), 0
		for _, line := range lines {
			if err := p.Parse(line, func(*connlog.Event) { events++ }); err != nil && !errors.Is(err, ErrSkip) {
				t.Fatalf("%s: %v: %s", f.Name, err, line)
			}
		}
		if events < 100 {
			t.Errorf("%s: %d events", f.Name, events)
		}
	}
}

// BenchmarkOrder sorts the events of a log that is written when connections
// end: each was open for up to half a minute.
func BenchmarkOrder(b *testing.B) {
	order := NewOrder(OrderOptions{}, func(*connlog.Event) {})
	e := connlog.Event{Kind: connlog.Open, ClientIP: forged}
	clock, n := now(), 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		clock = clock.Add(time.Millisecond * 50)
		e.Time = clock.Add(-time.Duration(n*7919%30_000) * time.Millisecond)
		order.Add(&e)
	}
}
