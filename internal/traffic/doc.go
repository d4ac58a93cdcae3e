// Package traffic is the seeded traffic that tests, the demonstration and the
// benchmarks share.
//
// The model is a Group: some sources, a number of clients behind each of
// them, and what these clients do (Kind). Constructors tell the usual stories:
// Customers, an Office behind one address, Holders that take threads and keep
// them, a Flood, a Guesser of passwords, a StalePhone, a Monitor, a BulkSender.
// Each group says whether it is an attacker, so that a test can score what a
// detector made of it.
//
// The same groups play in two halves:
//
//   - Simulation is a server with bounded pools in virtual time. Its Events are
//     the connection log that such a server would have written, millions of
//     lines a second, to the byte the same for the same seed. With Blocked set,
//     the loop is closed: what a detector bans while it reads is refused, and
//     cut off, by the simulated server.
//   - Live is real sockets against a real server: clients dial from loopback
//     addresses of their own, and the Report says second by second how they
//     fared.
//
// A first call:
//
//	sim := traffic.Simulation{
//		Seed:   1,
//		Length: time.Minute,
//		Services: []traffic.Service{{Name: traffic.WWW, Threads: 100}},
//		Groups: []traffic.Group{
//			traffic.Customers(traffic.WWW, traffic.Addresses(netip.MustParseAddr("192.0.2.1"), 8)),
//			traffic.Holders(traffic.WWW, 60, netip.MustParseAddr("203.0.113.9")),
//		},
//	}
//	events, err := sim.Events()
//
// # Scenarios
//
// Scenarios are whole stories with their Truth: who attacks, who is innocent,
// who shares an address with an attacker, and what the verdict on the server
// should be. For them the simulated server can do more than serve:
// a Scanner makes messages wait for each other, Stalls make everybody wait who
// asks for something, a Restart begins a new boot
// with or without having ended the one before, a ClockStep makes the log's
// times leap. And clients can do more than the live ones: hop through a net
// (Group.Hop), come a number of times only (Visits), come back after a refusal
// by a rule (Retries), and prove themselves before they sit (Idling).
//
//	for _, s := range traffic.Scenarios() {
//		sim := s.Simulation(1)
//		events, err := sim.Events()
//		...
//	}
//
// The labels are not opinions. A test takes the causes away one by one, the
// attackers, the scanner, the want of threads, and looks what becomes of the
// refusals; what averts half of them is the cause.
//
// # Comparing runs
//
// A client draws from a random stream of its own, and draws the same at each
// attempt whatever comes of it; when it retries is derived, not drawn. What
// one group meets therefore never changes what another one asks for, and two
// runs that differ in one ban can be compared.
//
// Absent on purpose: targets that are not loopback, traffic without a bound in
// clients, rate and time, and words for people (a Report is numbers; the
// command has the words).
package traffic
