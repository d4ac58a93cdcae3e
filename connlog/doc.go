// Package connlog is the connection log: what a server writes and a detector
// reads, and all that the two know of each other.
//
// The log is a file of JSON lines, one [Event] a line. A server writes it at
// the moment things happen, because a slow holder may never close:
//
//	w, err := connlog.OpenWriter("connections.log", connlog.WriterOptions{})
//	...
//	w.Write(&connlog.Event{Kind: connlog.Open, Service: "smtp", Conn: 1, ...})
//	defer w.Close()
//
// The [Writer] stamps boot, seq and time, never waits for the disk, rotates by
// size and age, and says so in the log when it had to drop a line.
//
// There are two ways to read. A [Reader] goes through a finished file, plain
// or compressed, once:
//
//	r, err := connlog.OpenReader("connections-20261123T142148.123456Z.log.zst")
//	for e, err := range r.Events() { ... }
//
// [Follow] turns one path into one endless source of lines, across rotation,
// compression, restarts and a writer that is not there yet:
//
//	for line, err := range connlog.Follow(ctx, "connections.log", connlog.FollowOptions{From: saved}) {
//		...
//		saved = line.Pos
//	}
//
// Each file stands alone. It begins with a start line (continued, if the
// server was running already) and one open line for each connection that was
// open then, so a reader may begin with any file and know who holds what.
// A start line of the same boot is the head of a complete list: a connection
// that is not in the block of open lines after it is closed. A start line of
// another boot closes all connections of the boot before.
//
// [Append] and [Parser] are the wire format alone, without files: JSON with a
// fixed order of keys when written, any order when read. Unknown keys and
// events are skipped, so the schema can grow; docs/connlog.md describes it for
// those who write or read the log from another program.
//
// Everything read is taken for hostile. Lines, nesting, interned strings and
// decompression are bounded; a malformed line is an error about that line and
// the next one is read as if nothing had been.
//
// Absent on purpose: other log formats, meaning (who is an offender is the
// detector's), and locks between processes other than the one that keeps two
// writers from one file.
package connlog
