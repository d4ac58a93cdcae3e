package traffic

import "time"

// crowdScenarios are those of a server that is too small, with and without an
// attack.
func crowdScenarios() []Scenario {
	rush := visitors(1000) // 30 threads' worth
	rush.Name, rush.From, rush.Until = "rush", 2*time.Minute, 8*time.Minute
	rush.Sources = Addresses(at("100.67.0.1"), 1000)
	double := rush
	double.Sources = Addresses(at("100.67.0.1"), 2000)
	attack := attackers(Holding, WWW, 40, at(villain))
	attack.From, attack.Until = 2*time.Minute, 8*time.Minute
	return []Scenario{
		scene("rush-hour", "Real users need 30 threads for six minutes, and there are 20.",
			Undersized, tenMinutes, web(20), visitors(100), rush),
		scene("rush-hour-attack", "Real users need three times the threads there are, and one address holds all of them.",
			Mixed, tenMinutes, web(20), visitors(100), double, attack),
		newsletter(),
	}
}

// newsletter is a crowd that comes within minutes, most of it at the beginning.
func newsletter() Scenario {
	groups := []Group{visitors(50)}
	source := at("100.68.0.0")
	for wave := range 12 {
		n := 800 >> (wave / 2)
		g := visitors(0)
		g.Name, g.Sources, g.Visits = "readers of the letter", Addresses(source, n), 4
		g.Every, g.Hold = 15*time.Second, 600*time.Millisecond
		g.From = 2*time.Minute + time.Duration(wave)*15*time.Second
		source = g.Sources[n-1].Next()
		groups = append(groups, g)
	}
	return scene("newsletter", "A letter sends 3,100 readers to the server within three minutes.",
		Undersized, tenMinutes, web(50), groups...)
}

// innocentScenarios are those in which there is nothing to ban.
func innocentScenarios() []Scenario {
	office := Office(WWW, 200, at("198.51.100.1"))
	office.Every, office.Hold = 5*time.Second, 300*time.Millisecond
	office.Retries, office.Retry = 3, 5*time.Second
	phone := StalePhone(at("192.0.2.7"))
	phones := StalePhone(at("198.51.100.1"))
	phones.Clients, phones.Every = 3, 3*time.Minute
	colleagues := correspondents(0)
	colleagues.Name, colleagues.Sources, colleagues.Clients = "colleagues", phones.Sources, 20
	bulk := BulkSender(at("192.0.2.8"))
	both := append(web(50), mail(30)...)
	return []Scenario{
		scene("office", "200 people work behind one address.",
			Healthy, tenMinutes, guarded(80), visitors(100), office),
		scene("imap-idle", "150 mailboxes are kept open for hours.",
			Healthy, 3*time.Hour, mailboxes(200), readers(150)),
		scene("bulk-sender", "One address delivers messages by the hundred.",
			Healthy, tenMinutes, mail(30), correspondents(100), bulk),
		scene("monitor", "One address looks each second whether the server answers.",
			Healthy, tenMinutes, append(web(30), mail(20)...),
			visitors(100), Monitor(WWW, at("192.0.2.9")), Monitor(SMTP, at("192.0.2.9"))),
		scene("stale-phone", "A phone tries an old password each minute, and three more do so from an office.",
			Healthy, 30*time.Minute, mail(20), correspondents(100), phone, phones, colleagues),
		scene("ordinary-day", "Users, an office, a bulk sender, a monitor and a phone, none of them in need.",
			Healthy, 20*time.Minute, both, visitors(200), correspondents(100),
			phone, bulk, Monitor(WWW, at("192.0.2.9")), Monitor(SMTP, at("192.0.2.9"))),
	}
}

// serverScenarios are those in which it is the server that something happens
// to.
func serverScenarios() []Scenario {
	holder := attackers(Holding, WWW, 60, at(villain))
	stop := scene("restart", "The server is restarted in order a second after one address began to hold all threads.",
		Attack, tenMinutes, web(50), visitors(200), holder)
	stop.simulation.Restarts = []Restart{{At: 61200 * time.Millisecond, Down: 10 * time.Second}}
	crash := scene("crash", "The server crashes a second after one address began to hold all threads, and again later.",
		Attack, tenMinutes, web(50), visitors(200), holder)
	crash.simulation.Restarts = []Restart{
		{At: 61200 * time.Millisecond, Down: 3 * time.Second, Crash: true},
		{At: 4 * time.Minute, Down: 3 * time.Second, Crash: true},
	}
	clock := scene("clock-steps", "The clock leaps back, an hour ahead, and two hours back, while one address holds all threads.",
		Attack, tenMinutes, web(50), visitors(200), holder)
	clock.simulation.Steps = []ClockStep{
		{At: 61 * time.Second, By: -30 * time.Second},
		{At: 2 * time.Minute, By: time.Hour}, {At: 5 * time.Minute, By: -2 * time.Hour},
	}
	healthyClock := scene("clock-steps-idle", "The clock leaps ahead and back, and a crash comes with it, and nobody does wrong.",
		Healthy, tenMinutes, append(web(30), mailboxes(200)...), visitors(200), readers(100))
	healthyClock.simulation.Steps = []ClockStep{
		{At: 2 * time.Minute, By: -3 * time.Second}, {At: 5 * time.Minute, By: time.Hour}, {At: 6 * time.Minute, By: -time.Hour},
	}
	healthyClock.simulation.Restarts = []Restart{{At: 7 * time.Minute, Down: 2 * time.Second, Crash: true}}
	both := attackers(Holding, SMTP, 80, at(villain))
	both.From = 30 * time.Second
	return []Scenario{
		stop, crash, clock, healthyClock,
		scene("scanner-stalls", "The only scanner stands still for two minutes.",
			Scanning, tenMinutes, scanned(40, 100*time.Millisecond, Stall{From: 3 * time.Minute, Until: 5 * time.Minute}),
			correspondents(100), BulkSender(at("192.0.2.8"))),
		scene("scanner-slow", "The only scanner takes 400 ms for a message, and there are three a second.",
			Scanning, tenMinutes, scanned(30, 400*time.Millisecond), correspondents(100)),
		scene("scanner-and-attack", "The only scanner takes 800 ms for a message, there are three a second, and one address holds the threads.",
			Mixed, tenMinutes, scanned(30, 800*time.Millisecond), correspondents(100), both),
	}
}
