// Package occupancy adds up a finished connection log: who held the threads,
// when the pools were full, and what that cost.
//
//	f := occupancy.New(occupancy.Options{})
//	for event := range log {
//		f.Observe(event)
//	}
//	report := f.Report(occupancy.ByThreadTime, 10)
//
// The sums are exact, and memory grows with the sources, the services and the
// connections that are open at once, never with the length of the log. A log
// that is read on several cores is noted down on all of them, by [Notes], and
// only added up by one:
//
//	r := bulk.NewReader(inputs, bulk.Options{Digest: func() bulk.Digest { return new(occupancy.Notes) }})
//	for batch, err := range r.Batches(ctx) {
//		f.Take(batch.Digest.(*occupancy.Notes))
//	}
//
// Other servers tell of a connection when it is over, so its opening lies before
// the lines above: an [Order] between the two puts notes in their places. There
// one note of a [connlog.Visit] stands for all events of the connection. A
// [Belt] has the adding up done on a core of its own.
//
// [Timeline] is for a second reading, when it is known whom to show: the pool
// over time, by those who held it.
//
// # What counts
//
// A connection holds its thread from its open line to its close line. Then:
//
//   - One that is open at the last event is clipped there, and OpenAtEnd.
//   - One that is open when its boot ends was open until the last event of that
//     boot. One that the head of a continued file does not name has ended there.
//   - One that a file's head names again is no new one; named for the first
//     time, it began as long before as that line says.
//   - A close of which no opening is known began as long before as it says. If
//     it does not say, it is an orphan. So is an opening without an address.
//   - With From and To, only what lies between them is held. A connection that
//     is open at To is OpenAtEnd.
//   - Time is unproven until a connection's proof; if its last line says that
//     it was proven and no line says when, none of it is.
//   - Proofs and failures of the connection 0 are their address's.
//
// Lines that were seen already are ignored, and a clock that was set back, or
// ahead where the server would have written its beat, goes on from where it was,
// as for package detector.
//
// # Peaks
//
// Lines are in the order in which things happened, so a peak is a number, and
// Low and High are the same; but for two cases. Where a connection is known by
// its close only, or was told of too late for its place in an [Order], it may or
// may not have been part of the peak. And where stamps are coarse, what has the
// same stamp may have happened in any order: Low is the peak if all ends came
// first, High if all beginnings did.
//
// # Blame and load
//
// At each busy refusal a holder of n of the pool's threads is charged n/busy.
// Load is the largest value that the one-minute average of threads held had at
// any event of the source, as in package detector.
//
// Absent on purpose: decisions (package detector), verdicts (detector/cause),
// and names of users.
package occupancy
