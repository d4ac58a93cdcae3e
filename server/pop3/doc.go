// Package pop3 lets the users of this host fetch their mail (RFC 1939, with
// the extensions of RFC 2449, 2595, 3206 and 5034).
//
// The model: each connection is a session of its own goroutine, which reads a
// line, answers it, and reads the next. Before the login a session has no
// mailbox; with it, it takes the mailbox ([Maildrop]) for itself alone and
// keeps it until the end. What is in it is listed once, at the login: later
// mail is seen by the next session. DELE only marks a message. QUIT removes
// what is marked; a connection that ends in any other way removes nothing.
//
// The first call:
//
//	p, err := pop3.New(pop3.Options{Users: users, Store: pop3.Maildirs{Store: store}})
//	server.Service{Name: "pop3", Listen: ":1110", Protocol: p}
//
// A session tells the log where it is: greeting, login while a password is
// taken and checked, command while it works, deliver while it sends mail, idle
// while it waits for a command. It is proven by a login. A failed login, a
// command that is unknown, malformed or out of place, and a TLS handshake that
// fails are each a fail event; too many of them end the session.
//
// A password is only taken under TLS, from this host itself, or where
// Options.AllowPlainAuth says so. STLS with more bytes behind it in the clear
// is refused: whoever put them there wants them believed to be encrypted.
//
// Absent on purpose: APOP, which needs passwords that can be read back, and
// LOGIN-DELAY, which is the detector's business. Nothing is answered to a
// client that is cut for its silence (RFC 1939, section 3).
package pop3
