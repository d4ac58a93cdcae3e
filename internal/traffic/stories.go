package traffic

import (
	"net/netip"
	"time"
)

// BusyServer is a mail and web server with something of everything, for
// benchmarks: ordinary clients at so many sources, 500 attempts a second
// together whatever their number, an office, a bulk sender, a monitor, a phone
// with a stale password, holders, a flood and a guesser. It has no end.
func BusyServer(seed uint64, sources int) Simulation {
	const perSecond = 500
	sources = max(sources, 2)
	addrs := Addresses(netip.MustParseAddr("2001:db8::1"), sources)
	web, mail := Customers(WWW, addrs[:sources/2]), Customers(SMTP, addrs[sources/2:])
	web.Every = time.Duration(sources) * time.Second / perSecond
	mail.Every = web.Every
	web.Name, mail.Name = "web customers", "mail customers"
	at := netip.MustParseAddr
	return Simulation{
		Seed: seed,
		Services: []Service{
			{Name: SMTP, Threads: 100, UnprovenPerSource: 10, Patience: time.Minute},
			{Name: WWW, Threads: 100, UnprovenPerSource: 10, Patience: time.Minute},
		},
		Groups: []Group{
			web, mail,
			Office(WWW, 40, at("192.0.2.1")),
			BulkSender(at("192.0.2.2")),
			Monitor(WWW, at("192.0.2.3")),
			StalePhone(at("192.0.2.4")),
			Holders(WWW, 20, Addresses(at("203.0.113.1"), 3)...),
			Flood(SMTP, 40, at("203.0.113.200")),
			Guesser(at("203.0.113.201")),
		},
	}
}

// clientPace is the time between two attempts of an ordinary client. Eight of
// them make 26.7 attempts a second together.
const clientPace = 300 * time.Millisecond

// workTime is how long an ordinary session holds its thread.
func workTime(service string) time.Duration {
	if service == WWW {
		return 4 * time.Millisecond
	}
	return 40 * time.Millisecond
}

// Customers are ordinary clients, one at each source, with an attempt every
// 300 ms.
func Customers(service string, sources []netip.Addr) Group {
	return Group{
		Name: "customers", Kind: Ordinary, Service: service, Sources: sources,
		Every: clientPace, Hold: workTime(service),
	}
}

// Office is a number of ordinary clients behind one address.
func Office(service string, clients int, source netip.Addr) Group {
	return Group{
		Name: "office", Kind: Ordinary, Service: service, Sources: []netip.Addr{source},
		Clients: clients, Every: clientPace, Hold: workTime(service),
	}
}

// Holders keep a number of connections open at each source. One that is cut is
// opened again after a second.
func Holders(service string, connections int, sources ...netip.Addr) Group {
	return Group{
		Name: "holders", Kind: Holding, Service: service, Attacker: true,
		Sources: sources, Clients: connections, Every: time.Second,
	}
}

// Flood opens and closes connections, perSecond at each source.
func Flood(service string, perSecond int, sources ...netip.Addr) Group {
	const perClient = 20 // a second; slow enough that no client falls behind
	clients := max((perSecond+perClient-1)/perClient, 1)
	return Group{
		Name: "flood", Kind: Flooding, Service: service, Attacker: true,
		Sources: sources, Clients: clients,
		Every: time.Second * time.Duration(clients) / time.Duration(max(perSecond, 1)),
		Hold:  500 * time.Microsecond,
	}
}

// Guesser tries passwords as fast as it is let: four connections at each
// source, three guesses in a session.
func Guesser(sources ...netip.Addr) Group {
	return Group{
		Name: "guesser", Kind: Guessing, Service: SMTP, Attacker: true,
		Sources: sources, Clients: 4, Every: time.Second, Hold: 200 * time.Millisecond,
		Tries: 3, Users: []string{"admin", "info", "sales", "test", "backup", "root"},
	}
}

// StalePhone is an innocent with an old password: one failed login a minute,
// always with the same name.
func StalePhone(source netip.Addr) Group {
	return Group{
		Name: "phone", Kind: Guessing, Service: SMTP, Sources: []netip.Addr{source},
		Every: time.Minute, Hold: 300 * time.Millisecond, Users: []string{"anna"},
	}
}

// Monitor looks every second whether the service answers.
func Monitor(service string, source netip.Addr) Group {
	return Group{
		Name: "monitor", Kind: Checking, Service: service, Sources: []netip.Addr{source},
		Every: time.Second, Hold: 2 * time.Millisecond,
	}
}

// BulkSender delivers messages by the hundred over a few long connections.
func BulkSender(source netip.Addr) Group {
	return Group{
		Name: "bulk", Kind: Sending, Service: SMTP, Sources: []netip.Addr{source},
		Clients: 3, Every: 12 * time.Second, Hold: 10 * time.Second, Tries: 100,
	}
}
