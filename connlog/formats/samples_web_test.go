package formats

import "slices"

// sample is a log and what it tells.
type sample struct {
	name   string
	format string
	lines  string
	want   string
}

func samples() []sample { return slices.Concat(webSamples(), mailSamples(), otherSamples()) }

func webSamples() []sample {
	return []sample{
		{"tcp log", "haproxy", `
Nov 23 12:35:16 lb haproxy[1697]: 192.0.2.21:34040 [23/Nov/2026:12:35:16.825] raw t/n2 1/0/6 255 -- 1/1/0/0/0 0/0
Nov 23 12:36:16 lb haproxy[1697]: 203.0.113.9:34041 [23/Nov/2026:12:35:16.500] raw~ t/n2 1/0/60001 0 cD 1/1/0/0/0 0/0
Nov 23 12:38:27 lb haproxy[1697]: Proxy web stopped (cumulated conns: FE: 2, BE: 0).`, `
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
		{"an answer that did not go out whole proves nothing", "haproxy", `
192.0.2.9:1 [23/Nov/2026:06:56:28.088] fe be/s1 0/0/0/1/60000 200 20602 - - CD-- 19/19/3/4/0 0/0 "GET / HTTP/1.1"`, `
1123 06:56:28.088 open fe #1 192.0.2.9:1
1123 06:57:28.088 close fe #1 192.0.2.9 held=1m0s proven=false fails=0 reset
`},
		{"a log-format of one's own is no httplog", "haproxy", `
Nov 23 12:31:14 lb haproxy[3025]: 192.0.2.11:36530 [23/Nov/2026:12:31:14 +0000] 0 6844`, `
`},
		{"what goes wrong", "nginx-error", `
2026/11/23 12:35:16 [error] 2865#2865: *66647 limiting connections by zone "one", client: 203.0.113.6, server: example.org, request: "GET / HTTP/1.1", host: "example.org"
2026/11/23 12:35:17 [error] 2865#0: *66648 limiting requests, excess: 1.852 by zone "one", client: 2001:db8::7, server: example.org, request: "GET / HTTP/1.1"
2026/11/23 12:35:18 [error] 2865#0: *66648 limiting requests, dry run, excess: 1.852 by zone "one", client: 2001:db8::7, server: example.org, request: "GET / HTTP/1.1"
2026/11/23 12:35:19 [info] 2865#0: *66649 client timed out (110: Connection timed out) while reading client request headers, client: 203.0.113.8, server: example.org
2026/11/23 12:35:20 [error] 2865#0: *66650 user "an na": password mismatch, client: 203.0.113.9, server: , request: "GET / HTTP/1.1"
2026/11/23 12:35:21 [error] 2865#0: *66650 user "x" was not found in "/etc/nginx/.htpasswd", client: 203.0.113.9, server: , request: "GET / HTTP/1.1"
2026/11/23 12:35:22 [info] 2865#0: *66651 client sent invalid method while reading client request line, client: 203.0.113.10, server: , request: "x"
2026/11/23 12:35:23 [crit] 2865#0: *66652 SSL_do_handshake() failed (SSL: error:1408F10B) while SSL handshaking, client: 203.0.113.11, server: 0.0.0.0:443
2026/11/23 12:35:24 [alert] 2865#0: 768 worker_connections are not enough
2026/11/23 12:35:25 [alert] 2865#0: *66653 768 worker_connections are not enough while connecting to upstream, client: 203.0.113.12, server: , request: "GET / HTTP/1.1"
2026/11/23 12:35:26 [error] 2865#0: *66654 open() "/srv/x" failed (2: No such file or directory), client: 203.0.113.13, server: , request: "GET /x HTTP/1.1"
2026/11/23 12:35:27 [notice] 2865#0: signal process started
Nov 23 12:35:28 web nginx: 2026/11/23 12:35:28 [error] 2865#0: *66655 limiting connections by zone "one", client: 203.0.113.14, server: , request: "GET / HTTP/1.1"`, `
1123 12:35:16.000 refuse www #0 203.0.113.6 sessions
1123 12:35:17.000 refuse www #0 2001:db8::7 sessions
1123 12:35:19.000 fail www #0 203.0.113.8 command
1123 12:35:20.000 fail www #0 203.0.113.9 login "an na"
1123 12:35:21.000 fail www #0 203.0.113.9 login "x"
1123 12:35:22.000 fail www #0 203.0.113.10 command
1123 12:35:23.000 fail www #0 203.0.113.11 tls
1123 12:35:24.000 refuse www #0 busy
1123 12:35:25.000 refuse www #0 203.0.113.12 busy
1123 12:35:28.000 refuse www #0 203.0.113.14 sessions
`},
		{"what goes wrong, in 2.2 and 2.4", "apache-error", `
[Mon Nov 23 12:35:16 2026] [error] [client 203.0.113.6] user anna not found: /
[Mon Nov 23 12:35:17 2026] [error] [client 2001:db8::8:7] user anna: authentication failure for "/x": Password Mismatch
[Mon Nov 23 12:35:18.250000 2026] [auth_digest:error] [pid 17540:tid 140123070736128] [client 2001:db8::8:7:5140] AH01792: user anna: password mismatch: /x
[Mon Nov 23 12:35:19.250000 2026] [core:error] [pid 17408] [client 203.0.113.9:55280] AH00126: Invalid URI in request GET /../ HTTP/1.1
[Mon Nov 23 12:35:20.250000 2026] [ssl:info] [pid 1:tid 2] (70014)End of file found: [client 203.0.113.10:17036] AH02006: SSL handshake stopped: connection was closed
[Mon Nov 23 12:35:21.250000 2026] [reqtimeout:info] [pid 1:tid 2] [client 203.0.113.11:17036] AH01382: Request header read timeout
[Mon Nov 23 12:35:22.250000 2026] [mpm_event:error] [pid 1:tid 2] AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting
[Mon Nov 23 12:35:23.250000 2026] [qos:error] [pid 1:tid 2] [client 203.0.113.12:17036] mod_qos(031): access denied, QS_SrvMaxConnPerIP rule: max=10, concurrent connections=11, c=203.0.113.12
[Mon Nov 23 12:35:24.250000 2026] [core:info] [pid 1:tid 2] [client 203.0.113.13:17036] AH00128: File does not exist: /srv/[client 198.51.100.66] user x not found: /
[Mon Nov 23 12:35:25.250000 2026] [mpm_event:notice] [pid 1:tid 2] AH00489: Apache/2.4.62 (Debian) configured -- resuming normal operations
Nov 23 12:35:26 srv httpd[22034]: [error] [client 203.0.113.14] user x not found: /`, `
1123 12:35:16.000 fail www #0 203.0.113.6 login "anna"
1123 12:35:17.000 fail www #0 2001:db8::8:7 login "anna"
1123 12:35:18.250 fail www #0 2001:db8::8:7 login "anna"
1123 12:35:19.250 fail www #0 203.0.113.9 command
1123 12:35:20.250 fail www #0 203.0.113.10 tls
1123 12:35:21.250 fail www #0 203.0.113.11 command
1123 12:35:22.250 refuse www #0 busy
1123 12:35:23.250 refuse www #0 203.0.113.12 sessions
1123 12:35:26.000 fail www #0 203.0.113.14 login "x"
`},
		{"through syslog", "combined", `
Nov 23 12:35:16 web nginx: 192.0.2.23 - - [23/Nov/2026:12:35:16 +0000] "GET /page HTTP/1.1" 200 20000 "-" "curl/7.88.1"
<190>1 2026-11-23T12:35:17Z web httpd 12 - - 192.0.2.24 - - [23/Nov/2026:12:35:17 +0000] "GET /page HTTP/1.1" 200 20000
2026-11-23T12:35:18.5Z stdout F 192.0.2.25 - - [23/Nov/2026:12:35:18 +0000] "GET /page HTTP/1.1" 404 20000`, `
1123 12:35:16.000 open www #1 192.0.2.23
1123 12:35:16.000 proven www #1 192.0.2.23 request
1123 12:35:16.000 close www #1 192.0.2.23 held=0s proven=true fails=0 client
1123 12:35:17.000 open www #2 192.0.2.24
1123 12:35:17.000 proven www #2 192.0.2.24 request
1123 12:35:17.000 close www #2 192.0.2.24 held=0s proven=true fails=0 client
1123 12:35:18.000 open www #3 192.0.2.25
1123 12:35:18.000 close www #3 192.0.2.25 held=0s proven=false fails=0 client
`},
		{"through the journal", "nginx-json", `
Nov 23 12:35:16 web nginx[12]: {"remote_addr":"192.0.2.23","msec":1795437316.602,"status":200,"request_time":0.5}`, `
1123 12:35:16.102 open www #1 192.0.2.23
1123 12:35:16.602 proven www #1 192.0.2.23 request
1123 12:35:16.602 close www #1 192.0.2.23 held=500ms proven=true fails=0 client
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
{"ClientAddr":"192.0.2.23:39496","ClientHost":"198.51.100.66,192.0.2.80","ClientUsername":"-","DownstreamStatus":200,"Duration":357313000,"RequestPath":"/x","StartLocal":"2026-11-23T13:35:16.5+01:00","StartUTC":"2026-11-23T12:35:16.5Z"}
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
	}
}
