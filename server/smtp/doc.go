// Package smtp receives mail (RFC 5321) for the users of this host and puts it
// into their Maildirs.
//
// The model: [Protocol] wraps the server of emersion/go-smtp. Between it and
// the admitted connection stands a link, which sees both sides of the
// conversation: it keeps the stage clocks, counts commands that were answered
// with a syntax error, ends who makes too many of them, and says goodbye when
// the server stops. The library can do none of this itself.
//
// A message is accepted (250) only when it is on the disk of every recipient;
// a full disk is a temporary failure. A recipient must be a user of this host:
// nothing is relayed, not even for users who have logged in.
//
// The first call:
//
//	p, err := smtp.New(smtp.Options{Hostname: "mx.example.org",
//		Domains: []string{"example.org"}, Users: users, Store: store})
//	server.Service{Name: "smtp", Listen: ":2525", Protocol: p}
//
// A connection is proven by a login or by an accepted message. A failed login,
// an unknown recipient and a bad command are each a fail event.
//
// Absent on purpose: TLS. A password in the clear is only taken from this host
// itself, unless Options.AllowPlainAuth says otherwise. And a postmaster
// without a domain (RFC 5321, 4.5.1), whom the library does not let through.
package smtp
