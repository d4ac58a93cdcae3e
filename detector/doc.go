// Package detector says who holds a server's threads, and whom to ban for it.
//
// It is a pure function of the connection log. There is no clock, no
// goroutine, no input or output in it: the same lines give the same decisions,
// to the byte, live, offline and when a log is read again.
//
//	d, err := detector.New(detector.Options{Policies: detector.DefaultPolicies()})
//	for line := range log {
//		for _, decision := range d.Observe(line) {
//			...
//		}
//	}
//
// # Model
//
// A source is an address at the level of the options. What it does is kept for
// each pool of threads apart: the threads it holds, averaged over 1, 5 and 15
// minutes as the Unix load is, for all its connections and for the unproven
// ones; the time it has held; how often it opens, fails, proves itself and is
// refused; how often it came in the last hour and the last 24; and its blame,
// which is the part of the busy refusals that its threads caused. Sources that
// hold a thread are never forgotten; of the others, Options.MaxSources are
// remembered.
//
// # Nets
//
// The sources of a net are one attacker often enough: 200 addresses of a /24
// with a thread each, or one host that hops through its /48. So the same
// figures are kept for nets, with their members; a source's condition can ask
// for those of its own net, and a policy of LevelNet judges nets, at ticks.
// Nothing is done for a net while nothing happens in it: its loads are sums over
// the threads taken and given back, and are worked out when somebody asks.
//
// A decision about a net is about its narrowest prefix that explains the load,
// which may be a single source. There is none while an address of the net has
// proven itself within a day; that is remembered, by the hour, for all nets that
// there are, in a table of fixed size that can only be too careful.
//
// # Time
//
// Time is that of the log. A line first lets the ticks pass that lie before it,
// and at each of them every source that holds a thread is looked at; then it is
// taken in, and its own source is looked at. There is a tick each whole second,
// and each quarter of one while clients are turned away. So a policy acts at
// once where a line crosses its condition, and soon where time does. There are
// no ticks more than ten minutes after the last line, or 15 seconds after that
// of a server that wrote its beat, as it does every five.
//
// A time that goes back is held; a clock that was set back by more than five
// seconds goes on from where it was. So does one that leaps ahead by more than a
// minute where the server would have written its beat: the clock was set, or the
// machine stood still. After a minute without a line, be it a leap or not, there
// are no decisions for five seconds if threads were held meanwhile. Bans, their
// ends, and what is remembered of them are at times of the log, as the list has
// them.
//
// # Conditions
//
// A policy's condition is written in the expr language, over the figures that
// Figures lists, for one source or one net in one pool:
//
//	unproven.load1 >= 0.1 * pool.threads && pool.busy >= 0.8 * pool.threads
//
// Figures are floating point numbers; times are in plain seconds and rates in
// events per minute. What the language has beyond numbers, comparisons, and,
// or, not, a ? b : c, abs, min and max is an error when the policy is read.
//
// # Decisions
//
// A policy decides once about a source until its condition has been false
// again. While a decision about a source stands, or about a net that it is in,
// there is no further one that is as weak or weaker, by any policy; a ban may
// follow a suggestion, which stands as long as the list keeps it. When too many
// bans fall into one minute, the further ones become suggestions until that is
// over; a quarter of them is kept for those who hold a twentieth of their pool.
//
// # Files and restarts
//
// Lines seen already are ignored, so readers may overlap. A file that
// continues an earlier one names at its head what is open: known connections
// are left alone, unknown ones are taken over with what they have held, and
// what is missing is closed.
//
// # Absent on purpose
//
// The allow list, and everything else about what becomes of a decision, is
// the business of the list of bans. User names are in no evidence: they are
// text from strangers.
package detector
