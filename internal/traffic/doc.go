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
// A client draws from a random stream of its own, and draws the same at each
// attempt whatever comes of it. What one group meets therefore never changes
// what another one asks for, and two runs that differ in one ban can be
// compared.
//
// Absent on purpose: targets that are not loopback, traffic without a bound in
// clients, rate and time, and words for people (a Report is numbers; the
// command has the words).
package traffic
