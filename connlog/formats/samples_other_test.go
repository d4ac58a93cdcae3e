package formats

func otherSamples() []sample {
	return []sample{
		{"no ends", "vsftpd", `
Mon Nov 23 12:35:36 2026 [pid 2602] CONNECT: Client "203.0.113.15"
Mon Nov 23 12:35:39 2026 [pid 2605] [root] FAIL LOGIN: Client "::ffff:203.0.113.15", "User is not in the allow user list."
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
2026-11-23 12:35:20 H=(shop.example.org) [203.0.113.27]:3755 I=[192.0.2.1]:25 F=<a@b> rejected RCPT <c@d>: relay not permitted
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
2026-11-23 12:35:16,124 ftp1 proftpd[4986] ftp1 (192.0.2.142[192.0.2.142]): FTP session opened.
2026-11-23 12:35:17,124 ftp1 proftpd[4986] ftp1 (192.0.2.142[192.0.2.142]): USER nobody: no such user found from 192.0.2.142 [192.0.2.142] to ::ffff:192.0.2.1:21
2026-11-23 12:35:18,124 ftp1 proftpd[4986] ftp1 (192.0.2.142[192.0.2.142]): USER anna: Login successful.
2026-11-23 12:35:19,124 ftp1 proftpd[4986] ftp1 (192.0.2.142[192.0.2.142]): FTP session closed.
Nov 23 12:35:20 ftp2 proftpd[7094]: ftp2.example.org (example.com[::ffff:203.0.113.4]) - USER anton (Login failed): Incorrect password.
Nov 23 12:35:21 ftp2 proftpd[7095]: ftp2.example.org (example.com[203.0.113.5]) - Connection refused (max clients 30).
Nov 23 12:35:22 ftp2 proftpd[7095]: ftp2.example.org (example.com[203.0.113.5]) - Connection refused (MaxClientsPerHost 3)`, `
1123 12:35:16.124 open ftp #1 192.0.2.142
1123 12:35:17.124 fail ftp #1 192.0.2.142 login "nobody"
1123 12:35:18.124 proven ftp #1 192.0.2.142 login "anna"
1123 12:35:19.124 close ftp #1 192.0.2.142 held=3s proven=true fails=1 client
1123 12:35:20.000 fail ftp #0 203.0.113.4 login "anton"
1123 12:35:21.000 refuse ftp #0 203.0.113.5 busy
1123 12:35:22.000 refuse ftp #0 203.0.113.5 sessions
`},
		{"sessions", "cowrie", `
{"eventid": "cowrie.session.connect", "src_ip": "203.0.113.6", "src_port": 60193, "timestamp": "2026-11-23T12:35:16.5Z", "session": "0123456789ab", "protocol": "ssh"}
{"eventid": "cowrie.login.failed", "username": "root", "timestamp": "2026-11-23T12:35:17.5Z", "src_ip": "203.0.113.6", "session": "0123456789ab", "password": "x"}
{"eventid": "cowrie.direct-tcpip.request", "timestamp": "2026-11-23T12:35:17.6Z", "dst_ip": "198.51.100.66", "src_ip": "203.0.113.6", "session": "0123456789ab"}
{"eventid": "cowrie.login.success", "username": "root", "timestamp": "2026-11-23T12:35:18.5Z", "src_ip": "203.0.113.6", "session": "0123456789ab", "password": "y"}
{"eventid": "cowrie.session.closed", "timestamp": "2026-11-23T12:35:26.5Z", "src_ip": "203.0.113.6", "duration": 10.0, "session": "0123456789ab"}
{"eventid": "cowrie.session.closed", "timestamp": "2026-11-23T12:35:27.5Z", "src_ip": "203.0.113.7", "duration": "2.5", "session": "other"}`, `
1123 12:35:16.500 open ssh #1 203.0.113.6:60193
1123 12:35:17.500 fail ssh #1 203.0.113.6 login "root"
1123 12:35:18.500 proven ssh #1 203.0.113.6 login "root"
1123 12:35:26.500 close ssh #1 203.0.113.6 held=10s proven=true fails=1 client
1123 12:35:25.000 open ssh #2 203.0.113.7
1123 12:35:27.500 close ssh #2 203.0.113.7 held=2.5s proven=false fails=0 client
`},
		{"the one in Go", "endlessh", `
I1123 12:35:34.765962       1 client.go:58] ACCEPT host=203.0.113.24 port=43360 n=1/4096
I1123 12:36:37.771962       1 client.go:99] CLOSE host=203.0.113.24 port=43360 time=63.006 bytes=410`, `
1123 12:35:34.765 open endlessh #1 203.0.113.24:43360 1/4096
1123 12:36:37.771 close endlessh #1 203.0.113.24 held=1m3.006s proven=false fails=0 client
`},
		{"of TCP", "traefik-tcp", `
time="2026-11-23T12:35:16Z" level=debug msg="Handling TCP connection from 203.0.113.6:35501 to 192.0.2.1:21116"
time="2026-11-23T12:35:17Z" level=debug msg="Handling UDP stream from 203.0.113.7:35501 to 192.0.2.1:21116"
time="2026-11-23T12:35:18Z" level=debug msg="Error while handling 198.51.100.66"`, `
1123 12:35:16.000 open tcp/21116 #1 203.0.113.6:35501
1123 12:35:16.000 close tcp/21116 #1 203.0.113.6 held=0s proven=false fails=0 client
`},
		{"text", "cowrie-text", `
2026-11-23T12:35:16.500000+0000 [cowrie.ssh.factory.CowrieSSHFactory] No moduli, no diffie-hellman-group-exchange-sha1
2026-11-23T12:35:16.500000+0000 [cowrie.ssh.factory.CowrieSSHFactory] New connection: 203.0.113.6:60193 (192.0.2.1:2222) [session: 0123456789ab]
2026-11-23T12:35:17.000000+0000 [cowrie.ssh.factory.CowrieSSHFactory] New connection: 203.0.113.7:60194 (192.0.2.1:2222) [session: 0123456789ac]
2026-11-23T12:35:17.200000+0000 [HoneyPotSSHTransport,24333,203.0.113.6] Remote SSH version: SSH-2.0-PUTTY
2026-11-23T12:35:17.500000+0000 [SSHService 'ssh-userauth' on HoneyPotSSHTransport,24333,203.0.113.6] login attempt [root/] succeeded] failed
2026-11-23T12:35:18.500000+0000 [SSHService 'ssh-userauth' on HoneyPotSSHTransport,24333,203.0.113.6] login attempt [b'root'/b'admin'] succeeded
	reason: 198.51.100.66
2026-11-23T12:35:18.700000+0000 [HoneyPotSSHTransport,24334,203.0.113.7] Connection lost after 1 seconds
2026-11-23T12:35:26.500000+0000 [HoneyPotSSHTransport,24333,203.0.113.6] Connection lost after 10 seconds
Nov 23 12:35:27 pot cowrie[2806]: 2026-11-23T12:35:27+0000 [HoneyPotSSHTransport,9,203.0.113.8] Connection lost after 2 seconds`, `
1123 12:35:16.500 open ssh #1 203.0.113.6:60193
1123 12:35:17.000 open ssh #2 203.0.113.7:60194
1123 12:35:17.500 fail ssh #1 203.0.113.6 login "root"
1123 12:35:18.500 proven ssh #1 203.0.113.6 login "root"
1123 12:35:18.700 close ssh #2 203.0.113.7 held=1.7s proven=false fails=0 client
1123 12:35:26.500 close ssh #1 203.0.113.6 held=10s proven=true fails=1 client
1123 12:35:25.000 open ssh #3 203.0.113.8
1123 12:35:27.000 close ssh #3 203.0.113.8 held=2s proven=false fails=0 client
`},
		{"threads, and a full server", "gms", `
POP 23 Nov 2026 12:35:16 I 30012 1227 Connection from 203.0.113.6
SMTP 23 Nov 2026 12:35:17 A 3084 1228 RCPT TO:<Connection from 198.51.100.66>
POP 23 Nov 2026 12:35:18 F 8160 1227 bad password for anton
POP 23 Nov 2026 12:35:26 I 30013 1227 Connection closed
POP 23 Nov 2026 12:35:27 F 8202 1229 -ERR Busy - please try later
POP 23 Nov 2026 12:35:28 S 10001 statistics`, `
1123 12:35:16.000 open pop #1 203.0.113.6
1123 12:35:18.000 fail pop #1 203.0.113.6 login
1123 12:35:26.000 close pop #1 203.0.113.6 held=10s proven=false fails=1 client
1123 12:35:27.000 refuse pop #0 busy
`},
		{"application", "aws-alb", `
https 2026-11-23T12:35:16.500000Z app/x/1 192.0.2.10:44740 192.0.2.80:80 0.100 0.301 0.099 200 200 34 366 "GET https://www.example.com:443/ HTTP/1.1" "198.51.100.66:1" - -
h2 2026-11-23T12:35:17.500000Z app/x/1 [2001:db8::9]:44741 - -1 -1 -1 460 - 34 0 "POST https://www.example.com:443/ HTTP/2.0" "x" - -`, `
1123 12:35:16.000 open www #1 192.0.2.10:44740
1123 12:35:16.500 proven www #1 192.0.2.10 request
1123 12:35:16.500 close www #1 192.0.2.10 held=500ms proven=true fails=0 client
1123 12:35:17.500 open www #2 2001:db8::9:44741
1123 12:35:17.500 close www #2 2001:db8::9 held=0s proven=false fails=0 client
`},
		{"classic, HTTP and TCP", "aws-elb", `
2026-11-23T12:35:16.500000Z my-elb 192.0.2.10:2817 192.0.2.80:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -
2026-11-23T12:35:17.500000Z my-elb 192.0.2.11:2817 192.0.2.80:80 0.001069 2.000000 0.000041 - - 82 305 "- - - " "-" - -`, `
1123 12:35:16.500 open www #1 192.0.2.10:2817
1123 12:35:16.501 proven www #1 192.0.2.10 request
1123 12:35:16.501 close www #1 192.0.2.10 held=1.178ms proven=true fails=0 client
1123 12:35:17.500 open www #2 192.0.2.11:2817
1123 12:35:19.501 proven www #2 192.0.2.11 transfer
1123 12:35:19.501 close www #2 192.0.2.11 held=2.00111s proven=true fails=0 client
`},
		{"its own", "overstay", `
{"time":"2026-11-23T12:35:16.500000Z","event":"open","boot":"b","seq":2,"service":"smtp","conn":1,"client_ip":"203.0.113.9","client_port":51234,"busy":1,"threads":100}
{"time":"2026-11-23T12:35:17.500000Z","event":"fail","boot":"b","seq":3,"service":"smtp","conn":1,"client_ip":"203.0.113.9","what":"login","user":"x"}
{"time":"2026-11-23T12:35:18.500000Z","event":"refuse","boot":"b","seq":4,"service":"smtp","client_ip":"192.0.2.7","reason":"busy","busy":100,"threads":100}
{"time":"2026-11-23T12:35:19.500000Z","event":"close","boot":"b","seq":5,"service":"smtp","conn":1,"client_ip":"203.0.113.9","held_us":3000000,"end":"timeout","fails":1}
{"time":"2026-11-23T12:35:20.500000Z","event":"something new","boot":"b","seq":6}`, `
1123 12:35:16.500 open smtp #1 203.0.113.9:51234 1/100
1123 12:35:17.500 fail smtp #1 203.0.113.9 login "x"
1123 12:35:18.500 refuse smtp #0 192.0.2.7 100/100 busy
1123 12:35:19.500 close smtp #1 203.0.113.9 held=3s proven=false fails=1 timeout
`},
		{"one way, to the server", "aws-vpc", `
version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 123456789010 eni-0a1b2c3d 203.0.113.9 192.0.2.1 20641 22 6 20 4249 1795437316 1795437376 ACCEPT OK
2 123456789010 eni-0a1b2c3d 192.0.2.1 203.0.113.9 22 20641 6 20 4249 1795437316 1795437376 ACCEPT OK
2 123456789010 eni-0a1b2c3d 203.0.113.9 192.0.2.1 49761 3389 6 20 4249 1795437316 1795437376 REJECT OK
2 123456789010 eni-0a1b2c3d - - - - - - - 1795437316 1795437376 - NODATA`, `
1123 12:35:16.000 open tcp/22 #1 203.0.113.9:20641
1123 12:36:16.000 close tcp/22 #1 203.0.113.9 held=1m0s proven=false fails=0 client
`},
		{"several programs", "syslog", `
Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]
Nov 23 12:35:17 mx sshd[2]: Failed password for root from 203.0.113.14 port 40101 ssh2
Nov 23 12:35:18 mx dovecot: pop3-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.6, lip=192.0.2.1, mpid=18
Nov 23 12:35:19 mx ftpd[1]: connection from 203.0.113.15 (x.example.org) at Mon Nov 23 12:35:19 2026
Nov 23 12:35:19 mx sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.16  user=root
Nov 23 12:35:19 mx vsftpd[19940]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=203.0.113.17
Nov 23 12:35:19 mx kernel: something else`, `
1123 12:35:16.000 open smtp #1 192.0.2.7
1123 12:35:17.000 fail ssh #0 203.0.113.14 login "root"
1123 12:35:18.000 open pop3 #2 192.0.2.6
1123 12:35:18.000 proven pop3 #2 192.0.2.6 login "bob"
1123 12:35:18.000 close pop3 #2 192.0.2.6 held=0s proven=true fails=0 client
1123 12:35:19.000 open ftp #3 203.0.113.15
1123 12:35:19.000 close ftp #3 203.0.113.15 held=0s proven=false fails=0
1123 12:35:19.000 fail ftp #0 203.0.113.17 login
`},
		{"PAM where sshd writes elsewhere", "openssh", `
Nov 23 12:35:19 mx sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.16  user=root
Nov 23 12:35:20 mx sshd(pam_unix)[19939]: 3 more authentication failures; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.16
Nov 23 12:35:21 mx sshd[19939]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.16`, `
1123 12:35:19.000 fail ssh #0 203.0.113.16 login "root"
1123 12:35:20.000 fail ssh #0 203.0.113.16 login
1123 12:35:20.000 fail ssh #0 203.0.113.16 login
1123 12:35:20.000 fail ssh #0 203.0.113.16 login
1123 12:35:21.000 fail ssh #0 203.0.113.16 login
1123 12:35:21.000 fail ssh #0 203.0.113.16 login
`},
	}
}
