package traffic

import "time"

// lookalikeScenarios are those of innocents who do what attackers do: hold
// many threads behind one address, say nothing for long, come from one net.
func lookalikeScenarios() []Scenario {
	office := readers(0)
	office.Name, office.Sources, office.Clients = "office", Addresses(at("198.51.100.1"), 1), 200

	mobile := visitors(0)
	mobile.Name, mobile.Sources, mobile.Visits = "mobile", Addresses(at("100.69.0.1"), 5400), 1
	mobile.Hold, mobile.From, mobile.Every = 10*time.Second, 2*time.Minute, 6*time.Minute
	fewer := mobile
	fewer.Sources = Addresses(at("100.69.0.1"), 1800) // half of the pool's threads
	holders := attackers(Holding, WWW, 1, apart(at("198.18.0.9"), 90)...)
	holders.From = 3 * time.Minute

	carrier := visitors(0)
	carrier.Name, carrier.Sources, carrier.Clients = "carrier", Addresses(at("198.51.100.1"), 1), 120
	carrier.Every, carrier.Hold, carrier.Retries = 20*time.Second, 8*time.Second, 1
	rush := visitors(1000)
	rush.Name, rush.From, rush.Until = "rush", 2*time.Minute, 8*time.Minute
	rush.Sources = Addresses(at("100.67.0.1"), 1000)

	slow := correspondents(100)
	slow.Hold = 5 * time.Second
	provider := correspondents(0)
	provider.Name, provider.Sources, provider.Clients = "provider", Addresses(at("198.51.100.1"), 20), 3
	provider.Every, provider.Hold, provider.From = 10*time.Second, 5*time.Second, 3*time.Minute

	cdn := visitors(0)
	cdn.Name, cdn.Sources, cdn.Clients = "cdn", Addresses(at("198.51.100.1"), 30), 40
	cdn.From, cdn.Until = 2*time.Minute, 8*time.Minute
	return []Scenario{
		scene("office-idle", "An office keeps 200 mailboxes open behind one address, and others find no thread.",
			Undersized, time.Hour, mailboxes(450), readers(320), office),
		scene("mobile-rush", "5,400 phones come once each over slow links, and hold a thread for ten seconds before they are through.",
			Undersized, tenMinutes, web(100), visitors(100), mobile),
		scene("mobile-attack", "1,800 phones come once each over slow links, while 90 addresses of unrelated nets hold a thread each.",
			Attack, tenMinutes, guarded(100), visitors(100), fewer, holders),
		scene("carrier-nat", "120 phones on slow links share a carrier's address, and a rush of others fills the pool.",
			Undersized, tenMinutes, web(70), visitors(100), carrier, rush),
		scene("provider-net", "20 machines of a big provider's net begin to deliver to a server that is too small for them.",
			Undersized, tenMinutes, mail(30), slow, provider),
		scene("cdn-net", "1,200 users come through 30 machines of one net, and there are too few threads for them.",
			Undersized, tenMinutes, web(25), visitors(60), cdn),
	}
}
