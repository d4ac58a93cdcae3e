// Package imap lets users read their Maildirs by IMAP4rev1 (RFC 3501), with
// IDLE, MOVE, UIDPLUS, NAMESPACE, UNSELECT, ESEARCH and CHILDREN.
//
// The model: [Protocol] wraps the server of emersion/go-imap. Between it and
// the admitted connection stands a link, which follows the conversation line
// by line: it keeps the stage clocks, counts commands that are answered with
// BAD, ends who makes too many of them, begins TLS, and says goodbye when the
// server stops. The library can do none of this itself. A session is what the
// library calls; a view is what its client knows of the selected mailbox, and
// becomes what the mailbox is by updates, at the moments when RFC 3501, 5.2
// and 7.4.1, allow them.
//
// Messages are not held in memory. What of a message was asked for is found in
// one pass over it (structure.go), and then sent from the file. A hostile
// message cannot take more than a bounded depth, number of parts and size of
// headers.
//
// The first call:
//
//	p, err := imap.New(imap.Options{Users: users, Store: store})
//	server.Service{Name: "imap", Listen: ":1143", Protocol: p,
//		Limits: server.Limits{ProvenIdle: 35 * time.Minute}}
//
// A connection is proven by a login. A failed login and a bad command are each
// a fail event.
//
// Absent on purpose: keywords (a flag that is not of the system is not kept,
// but for $Forwarded), BINARY, and IMAP4rev2.
package imap
