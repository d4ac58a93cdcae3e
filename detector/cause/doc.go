// Package cause says why a pool of threads turned clients away, out of the
// connection log.
//
//	r := cause.New(cause.Options{})
//	for line := range log {
//		r.Observe(line)
//		for _, d := range detector.Observe(line) {
//			r.Suspect(cause.Suspect{Source: d.Source, Policy: d.Policy, At: d.At, Until: d.At.Add(d.Duration)})
//		}
//	}
//	if s, ok := r.Last(); ok {
//		report, err := r.Report(s, loss.Question{})
//		...
//	}
//
// # Model
//
// A [Recorder] keeps what came to each pool: who was given a thread, for how
// long, how much of that it waited for the scanner, and who was refused for
// want of one. A [Stretch] is a run of such refusals with no pause of more
// than a minute. A [Report] plays it again, with package loss: as it was,
// without the suspects, without waiting for the scanner, with more threads.
// Suspects are whom policies decided about, in the stretch or with a ban that
// was in force then; which policies is for the caller to say. Who of them took
// a thread from nobody is told apart, as idle.
//
// What is replayed and counted is what comes in a stretch and in the minute
// before and after it; Report.Arrivals and the rate of clients are those of the
// stretch alone. What a change averts is a part of Diagnosis.Refused, which the
// replay with nothing changed refuses, and not of Refused, which the log has.
// The ten minutes before all that are replayed too, so that the pool is as full
// as it was, and so that there are holding times of those who were served for
// those who were refused.
//
// # What counts as an arrival
//
// Who asked the pool for a thread: connections, and refusals as busy. Who was
// refused as banned, or for too many sessions of its source, was turned away
// before the pool was asked, and would have been with any number of threads.
//
// # The log
//
// Lines are taken as package detector takes them: seen ones are ignored, a
// new boot ends all that was open, the head of a file ends what it does not
// name, and a clock that was set back goes on from where it was. A connection
// that is known by its close line only, as where the log is read from its
// middle, counts from when that says it was opened. Threads that are held by
// connections which the log never tells of are found by what it says is busy,
// and stay taken in every replay.
//
// Memory is bounded by Options.MaxArrivals, the oldest go first. What a report
// had to leave out or to guess is in its Notes.
//
// # Absent on purpose
//
// Who is to be suspected, the names of users, and time other than the log's.
// A Recorder is not for concurrent use.
package cause
