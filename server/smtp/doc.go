// Package smtp receives mail (RFC 5321): for the users of this host it goes
// into their Maildirs, for others it is passed on to a server behind this one.
//
// The model: [Protocol] wraps the server of emersion/go-smtp. Between it and
// the admitted connection stands a link, which takes the client's text apart:
// the library gets one command line at a time, and the text of a message up to
// its end. So the link knows at every moment where the conversation is. It
// keeps the stage clocks, counts what was answered with a syntax error, ends
// who makes too many of them, says goodbye when the server stops, answers
// STARTTLS, and decides what is a line and what ends a message. The library can
// do none of this as it is needed here.
//
// The first call:
//
//	p, err := smtp.New(smtp.Options{Hostname: "mx.example.org",
//		Domains: []string{"example.org"}, Users: users, Store: smtp.Maildirs{Store: store}})
//	server.Service{Name: "smtp", Listen: ":2525", Protocol: p}
//
// # When a message is accepted
//
// A message is taken in whole, scanned if there are scanners, and then put
// where it shall go. It is accepted (250) when it is on the disk of every local
// recipient, and when the upstream has taken it for the others. There is no
// queue here: what cannot be done now is a temporary failure (4xx), and the
// message stays the client's; and so is one whose client is cut off by a ban
// before it could be told. Each recipient is asked of the upstream while the
// client waits for the answer, so the upstream's refusal is the client's.
//
// One message can be for local recipients and for relayed ones. The local
// copies are on the disk before the upstream gets the message, and appear when
// it has taken it. If that last step fails, or the upstream's answer is lost,
// the client sends the message again, and the upstream has it twice: a message
// is rather doubled than lost. An upstream that speaks LMTP answers for each
// recipient, and there is one answer for the client; so it gets one recipient
// in a transaction, and the client is told to send the rest again (452 4.5.3).
//
// For the same reason a full mailbox must not keep a message from the others it
// is for. A recipient without room is refused (452 4.2.2) before the message
// comes, which takes a client that says how large it is (SIZE, RFC 1870), as
// servers do. From others, a user who has no room for the largest message gets
// each one in a transaction of its own.
//
// # What is a line
//
// A message ends with CR LF . CR LF and nothing that looks like it. One that has
// a CR or LF alone is refused, or mended if Options.FixBareLF says so; one with
// a NUL is refused. After CR CR LF . CR LF the message is refused and the
// connection closed: servers do not agree whether that is an end. A command
// line with a lone LF or another control character is refused.
//
// A connection is proven by a login or by an accepted message. A failed login,
// an unknown recipient, a bad command, a failed handshake and a virus are each
// a fail event.
//
// Absent on purpose: a queue, messages in chunks (BDAT, RFC 3030: a second way
// in, with other rules), internationalized addresses, and delivery reports.
package smtp
