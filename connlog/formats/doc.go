// Package formats reads the logs of other servers as events of the connection
// log, so that everything that works on the one works on the others.
//
// The model is a [Format], a kind of log by name, and its [Parser], which is
// given the lines one after the other:
//
//	f, ok := formats.Detect(head) // or formats.ByName("postfix")
//	p := f.NewParser(formats.Options{Now: time.Now()})
//	order := formats.NewOrder(formats.OrderOptions{}, func(e *connlog.Event) { ... })
//	for line := range lines {
//		err := p.Parse(line, order.Add)
//		...
//	}
//	order.Flush()
//
// A line gives any number of events. A log that is written when a connection
// ends and says how long it lasted gives its opening, its proof and its close
// with that one line, so events lie before those of earlier lines: [Order]
// sorts them in bounded memory.
//
// [Layout] makes a format of the layout that a web server was given, and
// [Mapping] one of any JSON or table.
//
// # What a log can tell
//
// Logs differ in what they hold, and no reader makes up for it: [Gives] says
// of each format whether it tells of openings, durations and outcomes, and how
// fine its clock is, and [Format.Seen] corrects that by what a log shows. Where
// there are no durations, a connection opens and closes at the same moment and
// holds nothing.
//
//   - A line of a connection that ended and says how long it lasted: it began
//     that long before.
//   - An end that says nothing of its beginning is an orphan; it is counted,
//     and gives no event.
//   - What has not ended when the log does is closed by nothing: Parser.Open
//     counts it, and whoever adds up times clips it there.
//   - Failures and proofs whose connection is not known are events with the
//     connection 0.
//   - A line that repeats what another one tells, as PAM's does beside sshd's,
//     or that names a client for a reason that is no event, gives none; Parse
//     returns [Named], which says whom it is about.
//
// # Stamps
//
// A stamp without a zone is of Options.Location. One without a year is the
// latest such date that is at most a day after Options.Now, since clocks and
// zones differ. With Options.Year it is of that year, and then of whichever
// keeps it nearest to the line before: a log that goes over New Year does.
//
// # Strangers
//
// Most of a line is text that a stranger chose: user names, greetings, paths,
// agents. None of it can become the source. Addresses are taken from where the
// server writes them, found from the end of the line that strangers cannot
// reach; where both ends can be forged, the line is refused ([ErrForged]). What
// is kept between lines is bounded.
//
// Absent on purpose: regular expressions, files and compression (connlog
// reads those), and guesses at what a log does not hold.
package formats
