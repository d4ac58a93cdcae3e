// Package scan has messages looked at by clamd, the daemon of ClamAV, over its
// command INSTREAM.
//
// The model: [Scanners] are a fixed number of scans that may run at a time. A
// message waits for its turn in a queue, which is bounded too, and has a
// [Turn] then, for one scan. The wait and the scan are two calls, because they
// are two stages of a connection: a long wait for a short scan says that there
// are too few scanners, a long scan that the scanner is slow.
//
// The first call:
//
//	s, err := scan.New(scan.Options{Address: "unix:/run/clamav/clamd.ctl", Scanners: 8})
//	turn, err := s.Wait(ctx)
//	defer turn.Done()
//	verdict, err := turn.Scan(ctx, message)
//	if verdict.Found() { ... }
//
// Only the answer "stream: OK", whole and ended as clamd ends it, is taken for
// the absence of a virus. Everything else is an error, and the caller decides
// what an unscanned message is worth.
//
// Absent on purpose: connections that are kept (clamd takes a new one in no
// time, and a kept one would have to be checked), and trying again (the client
// who is told to come back later does that).
package scan
