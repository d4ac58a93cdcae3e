package traffic

import (
	"net/netip"
	"time"
)

// The addresses of the scenarios: innocents are in 100.64.0.0/12,
// 192.0.2.0/24, 198.51.100.0/24, 100.96.0.0/11 (strangers) and 2001:db8:a::/48, attackers in
// 203.0.113.0/24, 198.18.0.0/15 and 2001:db8:bad::/48, and those that come only
// once in 100.80.0.0/12.
const (
	villain   = "203.0.113.9"
	crowdFrom = "100.64.0.1"
	mailFrom  = "100.65.0.1"
	idleFrom  = "100.66.0.1"
	churnFrom = "100.80.0.0"
)

func at(s string) netip.Addr { return netip.MustParseAddr(s) }

// apart returns n addresses of different /24 each.
func apart(first netip.Addr, n int) []netip.Addr {
	var addrs []netip.Addr
	for i, a := 0, first; len(addrs) < n; i, a = i+1, a.Next() {
		if i%256 == 0 {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// Innocents come back after a refusal by these rules: a browser's user after
// about 5, 10 and 20 seconds, a mail server after half a minute, one and two,
// a mail program after 10 and 20 seconds. Then they wait until their next
// attempt is due.

// visitors read pages: each opens one about every ten seconds, which takes
// 300 ms. A hundred of them hold three threads.
func visitors(n int) Group {
	return Group{
		Name: "visitors", Kind: Ordinary, Service: WWW, Sources: Addresses(at(crowdFrom), n),
		Every: 10 * time.Second, Hold: 300 * time.Millisecond, Retries: 3, Retry: 5 * time.Second,
	}
}

// correspondents deliver a message each half minute, which takes a second. A
// hundred of them hold a bit more than three threads.
func correspondents(n int) Group {
	return Group{
		Name: "correspondents", Kind: Ordinary, Service: SMTP, Sources: Addresses(at(mailFrom), n),
		Every: 30 * time.Second, Hold: time.Second, Retries: 3, Retry: 30 * time.Second,
	}
}

// readers keep a mailbox open for 25 minutes at a time, as IMAP IDLE does.
func readers(n int) Group {
	return Group{
		Name: "readers", Kind: Idling, Service: IMAP, Sources: Addresses(at(idleFrom), n),
		Every: 20 * time.Second, Hold: 25 * time.Minute, Retries: 2, Retry: 10 * time.Second,
	}
}

// attackers are a group of a kind that says nothing of use, from a minute on.
func attackers(kind Kind, service string, clients int, sources ...netip.Addr) Group {
	return Group{
		Name: "attackers", Kind: kind, Service: service, Attacker: true, Sources: sources,
		Clients: clients, Every: time.Second, From: time.Minute,
	}
}

// web is a web server of so many threads that is as patient with those who
// say nothing as most are.
func web(threads int) []Service {
	return []Service{{Name: WWW, Threads: threads, Patience: time.Minute}}
}

// guarded is a web server that lets one source have a tenth of it unproven.
func guarded(threads int) []Service {
	return []Service{{Name: WWW, Threads: threads, Patience: time.Minute, UnprovenPerSource: threads / 10}}
}

func mail(threads int) []Service {
	return []Service{{Name: SMTP, Threads: threads, Patience: 5 * time.Minute}}
}

// scanned is a mail server whose messages are scanned one at a time.
func scanned(threads int, scan time.Duration, stalls ...Stall) []Service {
	s := mail(threads)
	s[0].Scanner = Scanner{Number: 1, Time: scan, Stalls: stalls}
	return s
}

func mailboxes(threads int) []Service {
	return []Service{{Name: IMAP, Threads: threads, Patience: time.Minute}}
}
