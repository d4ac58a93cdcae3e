// Package server accepts connections for services with a bounded number of
// threads, and keeps a log of who holds them.
//
// The model: a [Service] listens on one address and takes its threads from a
// pool, its own or one that it shares. A connection that arrives is admitted
// in this order, cheapest first:
//
//	banned -> sessions of its source and net -> free thread -> protocol
//
// An admitted connection is a [*Conn]. It holds one thread until it is closed,
// once, by whoever comes first: the protocol, its limits, a ban, or the end of
// the server. A connection that is turned away gets the protocol's words for
// it, written off the accept loop, with a deadline of a second. The accept
// loop waits for nobody: not for a peer, not for the disk. What has to be
// waited for before the protocol begins is done beside it, and bounded in time
// and number:
//
//   - Before admission, the header of the PROXY protocol by which a peer of
//     Service.ProxyFrom tells who its client is. That is who is then admitted.
//   - After it, on the thread, the handshake of a service under TLS, in the
//     stage tls; and the delay of the greeting, before which only those talk
//     who do not listen.
//
// Two things are handed in, each a one-method interface: the list of banned
// hosts ([Banned]), asked once before a thread is given, and again when it
// was; and the connection log ([Log]), told of everything at the moment it
// happens. Call [Server.Recheck] after each change of the list: it ends the
// sessions whose source is banned by now, and their threads are free when it
// returns.
//
// The first call:
//
//	s, err := server.New(server.Options{
//		Services: []server.Service{{Name: "www", Listen: ":8080", Threads: 100, Protocol: site}},
//		Banned:   list,
//		Log:      log,
//	})
//	if err == nil {
//		err = s.Listen() // all or none
//	}
//	if err == nil {
//		err = s.Serve(ctx) // until ctx ends, then in order
//	}
//
// Time limits are enforced here and not in the protocols, whose libraries
// renew theirs with every byte: what a read may wait for is the earliest of
// what the library asked for and of the service's [Limits]. As the pool fills
// up, clients that have proven nothing get less of it.
//
// [Server.Configure] changes most settings of a server that serves.
//
// Absent on purpose: what to ban and for how long (the detector decides, from
// the log alone), and any knowledge of how the list or the log are stored.
package server
