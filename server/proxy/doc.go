// Package proxy stands in front of a TCP server that is already there, such
// as Postfix, Dovecot, Apache or an SSH daemon, and gives it bounded threads.
//
// The model: a client that was admitted gets a connection of its own to the
// upstream, and two copiers pass on what each side says, not a byte changed
// and none delayed. A watcher reads along, in bounded memory, and tells from
// it whose turn it is, and what the client has managed or failed to do:
//
//	smtp   235 to AUTH, or 250 to the end of a message
//	pop3   +OK to PASS, APOP or AUTH
//	imap   a tagged OK to LOGIN or AUTHENTICATE
//	http   a complete answer with a status below 400
//	tcp    Options.ProveTurns questions with answers, or one long answer
//
// Only the upstream's reply counts, and only while the watcher is sure which
// command it belongs to. A client that talks past its turn loses the chance to
// prove itself by what it says, and nothing else. After STARTTLS and the like
// the rest cannot be read, and the connection is watched as tcp is.
//
// There the turns tell more than the bytes: a mail client that waits in IDLE
// has said a few hundred, fewer than its own handshake, but it was answered
// each time. A handshake of TLS is three turns at most (with a
// HelloRetryRequest; RFC 8446, 2.1), so that whoever makes one and goes silent
// is not proven. The long answer, Options.ProveBytes, is for a download, which
// is one question. Both can be had without a login, from an upstream that
// answers strangers: such a client is seen by the threads that it holds.
// Before its login SSH has more turns, and wants a higher number.
//
// The first call:
//
//	p, err := proxy.New(proxy.Options{Upstream: "127.0.0.1:10025", Speaks: "smtp", ProxyHeader: 2})
//	server.Service{Name: "smtp", Listen: ":25", Protocol: p}
//
// The stages: upstream while a connection to it is made and until it begins
// to answer, deliver while the answer goes on, idle between two commands,
// command while one comes in, login in the middle of a login, data for a
// message. What cannot be read (tcp, and after STARTTLS) is upstream from the
// client's first byte to the upstream's next, but no longer than
// Options.ReplyTimeout; then it is the client's turn again, with all of its
// limits, as after each byte of the upstream. More than 64 KB in one direction
// are data.
//
// An end of one direction is passed on, and the other goes on: a client that
// has said all still gets its answer. An upstream that is down, or that ends
// in the middle of an answer, is the protocol's own temporary failure, and the
// close event says error.
//
// Absent on purpose: changing what passes (a proxy for HTTP that does is
// [overstay/server/www]), TLS to the upstream, choosing between several, and
// copying within the kernel (splice), which could not keep the limits of both
// sides apart; see BenchmarkRelay for what that costs.
package proxy
