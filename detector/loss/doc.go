// Package loss replays recorded arrivals through a pool of threads, and says
// what would have been with other clients, another pool or no waiting for the
// virus scanner.
//
//	s, err := loss.New(loss.Recording{Threads: 50, Sources: 3, Arrivals: arrivals},
//		loss.Options{Suspects: []uint32{2}})
//	d := s.Diagnose(loss.Question{})
//	fmt.Println(d.Finding.Verdict, d.Together.Averted.Median, d.Needed.Threads.Median)
//
// # Model
//
// A pool of N threads is a loss system: who finds a thread free holds it for
// its holding time, who finds none is refused and does not wait (Erlang,
// "Solution of some Problems in the Theory of Probabilities of Significance in
// Automatic Telephone Exchanges", 1917; in Kendall's notation G/G/N/N). A
// [System] is one recording made ready to be played again under a [Change].
// Arrivals come when they came. Those that were served hold their thread for
// as long as they did. With nothing changed, the replay is the record or near
// to it: who was refused tries there too, and where the recorded times let it in
// after all, as where a thread was given back in the same moment, it holds a
// thread that somebody else lacks. So what a change averts is reckoned from the
// replay with nothing changed, Diagnosis.Refused, and not from the record.
//
// What came before the beginning of the recording is played and not counted:
// it fills the pool, and it has holding times.
//
// # Assumptions
//
// What was refused has no holding time. It gets that of a connection drawn
// from those of its source, else from those of its service, else from all;
// suspects and others draw apart, so that a stranger who was turned away does
// not hold a thread for as long as the one who filled the pool. Where nobody
// like it was served, it is [Options.Unknown], and Outcome.Guessed says how
// often. The draw depends on the seed and on the arrival alone: a client holds
// as long under one change as under another, and differences between changes
// are those of the changes. The spread over seeds is given with every number;
// as those who were served are a sample too, each seed draws from a sample of
// them.
//
// A source that was never seen to ask for a thread while it held another is
// one client, and when it comes within [Options.RetryWithin] of its last
// refusal by the same service, with nothing in between, it is for the same
// thing: once it is served, its further tries do not happen, and if the record
// has it served in the end, it is that holding time it takes. But it does not
// want the same thing for longer than it takes to come for the next one when it
// is served, which is the average of its own or else the median of its service.
// Who has to wait for longer than that between two tries would have come in
// between: where it is served in a replay, it does (Outcome.Added). Each
// refusal of another source is a client of its own. Nobody tries more often
// than recorded because it is refused: who was served in the record and is
// refused in the replay does not come back.
//
// Messages wait for the scanners in one queue. How many scanners there are is
// the number with which a queue explains best what the recorded messages
// waited. A recorded message waits as long as it did, and longer or shorter by
// what the queue makes of the messages that are more or less in the replay. So
// a ban also takes the offender's messages out of the queue, and who is let in
// makes others wait. All that a connection sends counts as one message. When
// waiting is taken out, the rest of a connection takes as long as before.
//
// Connections that were cut off or still open at the end count as having held
// for as long as they were seen to. A folded refusal is as many arrivals at
// one time.
//
// # Absent on purpose
//
// Addresses, the log and sentences: sources and services are numbers here, and
// the caller has their names. Who is a suspect is an input.
package loss
