package formats

func mailSamples() []sample {
	return []sample{
		{"a message, a guesser, a holder", "postfix", `
Nov 23 12:35:16 mx postfix/smtpd[2028]: connect from mail.example.org[192.0.2.21]
Nov 23 12:35:16 mx postfix/smtpd[2028]: A1B2C3D4E5F: client=mail.example.org[192.0.2.21]
Nov 23 12:35:16 mx postfix/cleanup[2049]: A1B2C3D4E5F: message-id=<1@example.org>
Nov 23 12:35:17 mx postfix/qmgr[2838]: A1B2C3D4E5F: from=<a@example.org>, size=399, nrcpt=1 (queue active)
Nov 23 12:35:18 mx postfix/smtpd[2028]: disconnect from mail.example.org[192.0.2.21] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5
Nov 23 12:35:32 mx postfix/submission/smtpd[2423]: connect from unknown[203.0.113.26]
Nov 23 12:35:35 mx postfix/submission/smtpd[2423]: warning: unknown[203.0.113.26]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=root
Nov 23 12:35:36 mx postfix/submission/smtpd[2423]: lost connection after AUTH from unknown[203.0.113.26]
Nov 23 12:35:36 mx postfix/submission/smtpd[2423]: disconnect from unknown[203.0.113.26] ehlo=1 auth=0/1 commands=1/2
Nov 23 12:35:40 mx postfix/smtpd[2440]: connect from unknown[2001:db8::16]
Nov 23 12:36:40 mx postfix/smtpd[2440]: timeout after CONNECT from unknown[2001:db8::16]
Nov 23 12:36:40 mx postfix/smtpd[2440]: disconnect from unknown[2001:db8::16] commands=0/0`, `
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
Nov 23 12:35:16 mx postfix/master[2836]: warning: service "smtp" (25) has reached its process limit "100": new clients may experience noticeable delays
Nov 23 12:35:17 mx postfix/smtpd[1]: warning: Connection concurrency limit exceeded: 51 from unknown[203.0.113.9] for service smtp
2026-11-23T12:35:18.250000+00:00 mx postfix/postscreen[2]: NOQUEUE: reject: CONNECT from [203.0.113.10]:34567: all server ports busy
Nov 23 12:35:19 mx postfix/smtpd[3]: NOQUEUE: reject: RCPT from x.example.org[192.0.2.7]: 554 5.7.1 <a@b>: Relay access denied; from=<c@d> to=<a@b> proto=SMTP helo=<198.51.100.17>
Nov 23 12:35:20 mx postfix/smtpd[3]: disconnect from x.example.org[192.0.2.7]
Nov 23 12:35:21 mx postfix/smtpd[3]: F00: client=x.example.org[192.0.2.7], sasl_method=LOGIN, sasl_username=anna@example.org
Nov 23 12:35:22 mx postfix/smtpd[3]: connect from x.example.org[192.0.2.7]
Nov 23 12:35:23 mx postfix/smtpd[3]: disconnect from x.example.org[192.0.2.7] ehlo=1 auth=1 mail=1 rcpt=1 data=0/1 commands=4/5
Nov 23 12:35:24 mx postfix/smtpd[3]: improper command pipelining after AUTH from unknown[192.0.2.8]: QUIT from x[198.51.100.66]`, `
1123 12:35:16.000 refuse smtp #0 100/100 busy
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
		{"limits of one client", "postfix", `
Nov 23 12:35:17 mx postfix/smtpd[1]: warning: Connection rate limit exceeded: 61 from unknown[203.0.113.9] for service smtp
Nov 23 12:35:18 mx postfix/anvil[2]: statistics: max connection rate 61/60s for (smtp:203.0.113.9) at Nov 23 12:35:17
Nov 23 12:35:18 mx postfix/anvil[2]: statistics: max cache size 2 at Nov 23 12:35:17`, `
1123 12:35:17.000 refuse smtp #0 203.0.113.9 sessions
`},
		{"limits of one client", "dovecot", `
Nov 23 12:35:17 mx dovecot: imap-login: Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10): user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, session=<a>`, `
1123 12:35:17.000 refuse imap #0 203.0.113.9 sessions
`},
		{"who is dropped, as far as the log says", "openssh", `
Nov 23 12:35:36 vm sshd[1]: error: beginning MaxStartups throttling
Nov 23 12:35:36 vm sshd[1]: drop connection #10 from [203.0.113.15]:4711 on [192.0.2.1]:22 past MaxStartups
Nov 23 12:35:38 vm sshd[1]: exited MaxStartups throttling after 00:00:02, 17 connections dropped
Nov 23 12:35:39 vm sshd[1]: drop connection #0 from [203.0.113.16]:4711 on [192.0.2.1]:22 penalty: failed authentication
Nov 23 12:35:40 vm sshd[1]: exited MaxStartups throttling after 00:00:02, 99999999999 connections dropped`, `
1123 12:35:36.000 refuse ssh #0 203.0.113.15 busy
1123 12:35:38.000 refuse ssh #0 16 times busy
1123 12:35:39.000 refuse ssh #0 203.0.113.16 banned
`},
		{"a line of another client is not the session's", "postfix", `
Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]
Nov 23 12:35:17 mx postfix/smtpd[3]: warning: b[192.0.2.8]: SASL LOGIN authentication failed: no, sasl_username=root
Nov 23 12:35:18 mx postfix/smtpd[3]: timeout after DATA from b[192.0.2.8]
Nov 23 12:35:19 mx postfix/smtpd[3]: disconnect from a[192.0.2.7] ehlo=1 commands=1`, `
1123 12:35:16.000 open smtp #1 192.0.2.7
1123 12:35:17.000 fail smtp #0 192.0.2.8 login "root"
1123 12:35:19.000 close smtp #1 192.0.2.7 held=3s proven=false fails=0 client
`},
		{"a process that begins again has lost an end", "postfix", `
Nov 23 12:35:16 mx postfix/smtpd[3]: connect from a[192.0.2.7]
Nov 23 12:35:26 mx postfix/smtpd[3]: connect from b[192.0.2.8]`, `
1123 12:35:16.000 open smtp #1 192.0.2.7
1123 12:35:26.000 close smtp #1 192.0.2.7 held=10s proven=false fails=0 error
1123 12:35:26.000 open smtp #2 192.0.2.8
`},
		{"own log and syslog", "dovecot", `
Nov 23 12:35:16 imap-login: Info: Login: user=<alice>, method=PLAIN, rip=192.0.2.21, lip=192.0.2.1, mpid=2062, session=<aAbBcCdDeEfFgGhH>
Nov 23 12:36:16 imap(alice)<2062><aAbBcCdDeEfFgGhH>: Info: Disconnected: Logged out in=32 out=556
Nov 23 12:36:17 imap-login: Info: Disconnected: Connection closed (auth failed, 3 attempts in 30 secs): user=<admin>, method=LOGIN, rip=203.0.113.17, lip=192.0.2.1, session=<x>
Nov 23 12:36:18 mx dovecot: pop3-login: Disconnected: Inactivity (no auth attempts in 178 secs): user=<>, rip=2001:db8::5, lip=192.0.2.1
Nov 23 12:36:19 mx dovecot[442]: imap-login: Disconnected: Too many invalid commands. (no auth attempts in 0 secs): user=<>, rip=192.0.2.5, lip=127.0.0.1
Nov 23 12:36:20 mx dovecot: pop3-login: Login: user=<bob>, method=PLAIN, rip=192.0.2.6, lip=192.0.2.1, mpid=18, TLS
Nov 23 12:36:21 mx dovecot: master: Warning: service(imap-login): process_limit (100) reached, client connections are being dropped
Nov 23 12:36:22 mx dovecot: auth-worker(2454): pam(toto,192.0.2.9): unknown user`, `
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
2026-11-23T12:35:31.692980+00:00 vm sshd[2381]: Connection from 203.0.113.14 port 40101 on 192.0.2.1 port 22 rdomain ""
2026-11-23T12:35:32.000000+00:00 vm sshd[2381]: Invalid user walter from 203.0.113.14 port 40101
2026-11-23T12:35:33.000000+00:00 vm sshd[2381]: Failed password for invalid user walter from 203.0.113.14 port 40101 ssh2
2026-11-23T12:35:34.000000+00:00 vm sshd[2381]: Failed password for invalid user walter from 203.0.113.14 port 40101 ssh2
2026-11-23T12:35:35.692980+00:00 vm sshd[2381]: Connection closed by invalid user walter 203.0.113.14 port 40101 [preauth]
<38>1 2026-11-23T12:35:36Z vm sshd-session 9 - - Accepted publickey for anna from 2001:db8::1 port 5000 ssh2: RSA SHA256:abcdefghijklmn
Nov 23 12:35:37 vm sshd[9]: Disconnected from user anna 2001:db8::1 port 5000
Nov 23 12:35:38 vm sshd[1]: drop connection #10 from [203.0.113.15]:4711 on [192.0.2.1]:22 past MaxStartups
Nov 23 12:35:39 vm sshd[2]: User root from 203.0.113.16 not allowed because not listed in AllowUsers
Nov 23 12:35:40 vm sshd[2]: fatal: Unable to negotiate with 203.0.113.17 port 55419: no matching key exchange method found. Their offer: x from 198.51.100.66 port 1
Nov 23 12:35:41 vm sshd[3]: Failed none for anna from 192.0.2.3 port 4 ssh2
Nov 23 12:35:42 vm sshd[3]: fatal: Timeout before authentication for 192.0.2.3 port 4`, `
1123 12:35:31.692 open ssh #1 203.0.113.14:40101
1123 12:35:32.000 fail ssh #1 203.0.113.14 login "walter"
1123 12:35:34.000 fail ssh #1 203.0.113.14 login "walter"
1123 12:35:35.692 close ssh #1 203.0.113.14 held=4s proven=false fails=2 client
1123 12:35:36.000 proven ssh #0 2001:db8::1 login "anna"
! formats: an end without a beginning
1123 12:35:38.000 refuse ssh #0 203.0.113.15 busy
1123 12:35:39.000 fail ssh #0 203.0.113.16 login "root"
1123 12:35:40.000 fail ssh #0 203.0.113.17 command
1123 12:35:42.000 fail ssh #0 192.0.2.3 command
`},
	}
}
