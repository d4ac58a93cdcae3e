// Package www serves files over HTTP, and a page that shows how the server is
// doing; or it asks another server for everything.
//
// The model: [Protocol] is a net/http server on admitted connections. One
// connection holds one thread, however many requests it carries, one after the
// other (HTTP/1.1) or at a time (HTTP/2, under TLS). Its stage clocks tell
// command while a request is read, deliver while it is answered, upstream
// while another server is waited for, data while nothing can be done but wait
// for the client to send a body or to take an answer, and idle between two.
//
//	/healthz      200 "ok", or 503 while the server stops
//	/status       the services and their threads, for people
//	/status.json  the same for programs (also /status with Accept: application/json)
//	/...          files of Options.Root; without an index.html a welcome page
//
// The status is shown only to addresses in Options.StatusFrom, and is not
// there for others. Files whose name begins with a dot do not exist, but for
// /.well-known/, and folders are never listed. With Options.Upstream nothing
// of this is there: all requests are the upstream's, with X-Forwarded-For,
// -Host and -Proto that the client cannot forge.
//
// The first call:
//
//	p, err := www.New(www.Options{Root: "public", Status: func() server.Status { return s.Status() }})
//	server.Service{Name: "www", Listen: ":8080", Protocol: p}
//	server.Service{Name: "https", Listen: ":8443", Protocol: other, TLS: www.TLS(config)}
//
// While at least a half of the pool's threads are held, a connection ends with
// its answer, and those that wait for another request are soon cut: browsers
// come back, and nobody holds the pool by asking once. A client of HTTP/2 that
// keeps its requests open is waited for by the service's limits all the same.
//
// A connection is proven when its first request was answered in full with a
// status below 400, whoever answered. A request that is no HTTP is a fail
// event.
//
// Absent on purpose: HTTP/2 without TLS and to the upstream, upgrades such as
// WebSocket (they are passed on as plain requests: a connection without
// requests has nothing that could be counted or limited; the package proxy
// carries them), and for files, other methods than GET and HEAD.
package www
