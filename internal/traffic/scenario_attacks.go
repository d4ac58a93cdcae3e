package traffic

import (
	"net/netip"
	"time"
)

const tenMinutes = 10 * time.Minute

// holdingScenarios are those of threads that are held for their own sake.
func holdingScenarios() []Scenario {
	post := attackers(Holding, WWW, 5, Addresses(at("203.0.113.20"), 16)...)
	read := attackers(Idling, WWW, 15, Addresses(at("203.0.113.40"), 4)...)
	patient := attackers(Holding, WWW, 1, apart(at("198.18.0.9"), 250)...)
	patient.Hold, patient.Every = 15*time.Second, 45*time.Second
	return []Scenario{
		scene("slow-holder", "One address takes 60 of 50 threads and says nothing.",
			Attack, tenMinutes, web(50),
			visitors(200), attackers(Holding, WWW, 60, at(villain))),
		scene("net-of-holders", "200 addresses of one /24 hold a thread each.",
			Attack, tenMinutes, guarded(150),
			visitors(300), attackers(Holding, WWW, 1, Addresses(at("203.0.113.10"), 200)...)),
		scene("scattered-holders", "500 addresses of unrelated nets hold a thread each.",
			Attack, tenMinutes, guarded(300),
			visitors(300), attackers(Holding, WWW, 1, apart(at("198.18.0.9"), 500)...)),
		scene("patient-holders", "250 addresses of unrelated nets take turns, each holding a thread for a quarter of a minute.",
			Attack, tenMinutes, guarded(50), visitors(200), patient),
		scene("slow-post", "16 addresses send forms by the byte, each within the session limit.",
			Attack, tenMinutes, guarded(50), visitors(200), post),
		scene("slow-read", "Four addresses ask for a page, then take in a large one by the byte.",
			Attack, tenMinutes, guarded(50), visitors(200), read),
		returning(),
		insiderBehindOne(),
		insiderInNet(),
		probingHolders(),
	}
}

// probingHolders look like a tool for tests of slow requests: each address asks
// for a whole page now and then, to see whether the server still answers. They
// come one after the other, so that the first have asked often before the pool
// is full.
func probingHolders() Scenario {
	groups := []Group{visitors(200)}
	for i, a := range Addresses(at("203.0.113.60"), 15) {
		hold, probe := attackers(Holding, WWW, 9, a), attackers(Ordinary, WWW, 1, a)
		hold.From += time.Duration(i) * 4 * time.Second
		probe.From, probe.Every, probe.Hold = hold.From, 3*time.Second, 20*time.Millisecond
		groups = append(groups, hold, probe)
	}
	return scene("probing-holders", "15 addresses hold nine threads each, and ask for a page every three seconds.",
		Attack, tenMinutes, web(100), groups...)
}

// returning is an attack in five waves, with longer pauses between them than
// a first ban lasts.
func returning() Scenario {
	groups := []Group{visitors(60)}
	for wave := range 5 {
		g := attackers(Holding, WWW, 40, at(villain))
		g.From = time.Minute + time.Duration(wave)*11*time.Minute
		g.Until = g.From + 2*time.Minute
		groups = append(groups, g)
	}
	return scene("returning-offender", "One address holds all threads for two minutes, each eleven minutes.",
		Attack, time.Hour, web(30), groups...)
}

func insiderBehindOne() Scenario {
	office := Office(WWW, 40, at("198.51.100.1"))
	office.Every, office.Hold = 10*time.Second, 300*time.Millisecond
	holder := attackers(Holding, WWW, 60, at("198.51.100.1"))
	holder.From = tenMinutes
	return scene("insider-behind-nat", "One of many users behind an office's only address, who have worked well so far, holds all threads.",
		Attack, 2*tenMinutes, web(50), visitors(200), office, holder)
}

func insiderInNet() Scenario {
	office := visitors(0)
	office.Name, office.Sources = "office", Addresses(at("198.51.100.1"), 100)
	return scene("insider-in-net", "One address of an office's net holds all threads, the hundred beside it are users.",
		Attack, tenMinutes, web(50),
		visitors(100), office, attackers(Holding, WWW, 60, at("198.51.100.200")))
}

// hoppingScenarios are those of attackers with more addresses than connections.
func hoppingScenarios() []Scenario {
	host := attackers(Holding, WWW, 80, at("2001:db8:bad:1::9"))
	host.Hop, host.Hold = 64, 20*time.Second
	site := attackers(Holding, WWW, 120, at("2001:db8:bad::9"))
	site.Hop, site.Hold = 48, 40*time.Second
	users := visitors(200)
	users.Sources = Addresses(at("2001:db8:a::1"), 200)
	churn := Group{
		Name: "churn", Kind: Flooding, Service: WWW, Attacker: true, Visits: 1,
		Sources: Addresses(at(churnFrom), 100_000), Every: 9 * time.Minute, Hold: 10 * time.Millisecond,
	}
	flood := attackers(Flooding, WWW, 80, at(villain))
	flood.Every, flood.Hold, flood.Until = 100*time.Millisecond, 80*time.Millisecond, 3*time.Minute
	return []Scenario{
		scene("hopping-64", "A host holds threads from ever new addresses of its /64.",
			Attack, tenMinutes, web(60), users, host),
		scene("hopping-48", "A site holds threads from ever new /64 of its /48.",
			Attack, tenMinutes, guarded(100), users, site),
		scene("short-flood", "One address connects 600 times a second, each time for a moment.",
			Attack, 5*time.Minute, web(50), visitors(200), flood),
		scene("churn", "100,000 addresses come once each while one address holds all threads.",
			Attack, tenMinutes, web(50), visitors(200), churn, attackers(Holding, WWW, 60, at(villain))),
	}
}

// loginScenarios are those about passwords.
func loginScenarios() []Scenario {
	guesser := func(clients int, every time.Duration, sources ...netip.Addr) Group {
		g := attackers(Guessing, SMTP, clients, sources...)
		g.Every, g.Hold, g.Tries = every, 3*time.Second, 3
		g.Users = []string{"admin", "info", "sales", "test", "backup", "root"}
		return g
	}
	slow := guesser(1, 5*time.Minute, at(villain))
	slow.Tries = 1
	spread := guesser(1, tenMinutes, apart(at("198.18.0.9"), 300)...)
	spread.Tries, spread.From = 1, 0
	valid := attackers(Idling, IMAP, 100, at(villain))
	return []Scenario{
		scene("guessing-fast", "Three addresses guess passwords with 24 connections, of 20 that there are.",
			Attack, tenMinutes, mail(20), correspondents(150),
			guesser(8, 5*time.Second, Addresses(at("203.0.113.60"), 3)...)),
		scene("guessing-slow", "One address tries a password each five minutes.",
			Healthy, 2*time.Hour, mail(20), correspondents(100), slow).harmless(),
		scene("guessing-spread", "300 addresses try a password each ten minutes.",
			Healthy, 30*time.Minute, mail(20), correspondents(100), spread).harmless(),
		scene("valid-password", "One address logs in with a valid password and keeps 100 connections.",
			Attack, 20*time.Minute, mailboxes(120), readers(60), valid),
	}
}
