package traffic

import "time"

// stallScenarios are those in which nothing goes on inside the server for a
// while, or its clock leaps, and most of those who wait were never seen before.
func stallScenarios() []Scenario {
	minutes := func(from, until float64) []Stall {
		return []Stall{{time.Duration(from * float64(time.Minute)), time.Duration(until * float64(time.Minute))}}
	}
	rare := correspondents(0)
	rare.Name, rare.Sources, rare.Every = "rare senders", apart(at("100.96.0.1"), 1200), 20*time.Minute
	lists := rare
	lists.Name, lists.Sources, lists.Clients = "lists", apart(at("100.112.0.1"), 40), 3
	mail := scanned(40, 100*time.Millisecond, minutes(3, 5)...)

	readers := visitors(0)
	readers.Name, readers.Sources, readers.Every = "strangers", apart(at("100.96.0.1"), 2400), 10*time.Minute
	site := web(60)
	site[0].Stalls = minutes(3, 3.2)

	phones := readers
	phones.Name, phones.Kind, phones.Service = "phones", Idling, IMAP
	phones.Sources, phones.Every, phones.Hold = apart(at("100.96.0.1"), 900), 5*time.Minute, 2*time.Second
	boxes := mailboxes(60)
	boxes[0].Stalls = minutes(3, 3.5)

	rush := visitors(500)
	rush.Name, rush.From, rush.Until = "rush", 2*time.Minute, 6*time.Minute
	rush.Sources = Addresses(at("100.67.0.1"), 500)
	office := Office(WWW, 60, at("198.51.100.1"))
	office.Every, office.Hold = 15*time.Second, 2*time.Second
	leap := scene("leap-in-rush", "The clock leaps an hour ahead, twice, while an office and a rush of others fill the pool.",
		Undersized, 8*time.Minute, web(20), visitors(100), office, rush)
	leap.simulation.Steps = []ClockStep{{At: 3 * time.Minute, By: time.Hour}, {At: 4 * time.Minute, By: time.Hour}}
	return []Scenario{
		scene("scanner-strangers", "The only scanner stands still for two minutes, and half of the senders were never seen before.",
			Scanning, 8*time.Minute, mail, correspondents(30), rare, lists),
		scene("upstream-stalls", "What is behind a web server stands still for twelve seconds, and most visitors were never seen before.",
			Undersized, 6*time.Minute, site, visitors(50), readers),
		scene("mailboxes-stall", "The mailboxes cannot be read for half a minute, and many phones look into theirs.",
			Undersized, 6*time.Minute, boxes, phones),
		leap,
	}
}

// proverScenarios are attacks by those who prove themselves now and then.
func proverScenarios() []Scenario {
	late := visitors(0)
	late.Name, late.Sources, late.Every, late.Hold = "late", Addresses(at("192.0.2.7"), 1), time.Minute, 40*time.Second
	known := late
	known.Every, known.Hold, known.Visits = time.Second, 100*time.Millisecond, 2
	sources := apart(at("198.18.0.9"), 34)
	sitters := attackers(Holding, WWW, 3, sources...)
	begin := attackers(Ordinary, WWW, 1, sources...)
	begin.From, begin.Visits, begin.Hold = 0, 2, 100*time.Millisecond
	now := begin
	now.From, now.Visits, now.Every = 2*time.Minute, 0, 10*time.Minute
	return []Scenario{
		scene("late-prover", "250 addresses of unrelated nets hold a thread each, while one client proves itself each minute as late as it can.",
			Attack, tenMinutes, guarded(150), visitors(200), known, late,
			attackers(Holding, WWW, 1, apart(at("198.18.0.9"), 250)...)),
		scene("seldom-provers", "34 addresses of unrelated nets hold three threads each, and prove one connection each in ten minutes.",
			Attack, tenMinutes, guarded(100), visitors(200), begin, now, sitters),
	}
}
