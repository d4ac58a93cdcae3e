// Package bulk reads finished logs at the speed of the machine: many files,
// plain or compressed, parsed on all cores and handed over in the log's order.
//
// The model is a [Reader] of [Input]s, whose batches are folded by one loop:
//
//	r := bulk.NewReader(bulk.Files("conn.log", "conn.log.1.gz"), bulk.Options{})
//	for batch, err := range r.Batches(ctx) {
//		if _, ok := errors.AsType[*bulk.FileError](err); ok {
//			continue // said in r.Files as well; the others are read
//		}
//		if err != nil {
//			return err
//		}
//		for i := range batch.Events {
//			fold(&batch.Events[i])
//		}
//	}
//
// The loop is given the same events in the same order for any number of
// workers and any size of chunk. It is the one part that is not done in
// parallel, so what it does with an event decides how fast a log is read.
//
// Most loops need little of an event. A [Digest] takes that down on the core
// that parses, and the loop is given the digest of each batch instead of its
// events.
//
// # How it goes
//
// A worker takes a free batch, and its turn at the file: it reads a chunk, cuts
// it behind the last newline and leaves the rest to the next one. Then it
// parses while the others read and parse theirs. Batches come out in the order
// in which chunks were read. There is a fixed number of them, so memory does
// not depend on the size of a file, and whoever folds slowly slows the reading.
// The text that a worker parses is what it has just read, so it is in its
// core's cache still.
//
// # Order
//
// Inputs are read one after the other, in the order of the time of their first
// event, however they are named: the files of a rotated log make one log. Files
// that overlap in time are not merged.
//
// # Damage
//
// A log is somebody else's, and may be anything. A line that is malformed or
// longer than the limit is skipped and counted, and of the first ones of each
// file it is said where. A file that cannot be opened, or not be read to its
// end, is a [FileError]: what was before the damage counts. Compressed files
// are read as streams, so one that grows without end costs time, which ctx
// ends, but no memory.
//
// # Formats
//
// The zero Options read the connection log. Other logs are read by a [Format],
// whose [Parser] is given lines and gives events. One whose lines stand for
// themselves is used on all cores at once; one that keeps state from line to
// line is given all of them in their order, and then only reading, parsing and
// folding go on at the same time.
//
// Absent on purpose: globs and flags, following a file that grows ([connlog]
// does), merging logs of several servers, and mapping files into memory, which
// saves a copy and costs the process its life if one is cut short.
package bulk
