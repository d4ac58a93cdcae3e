// Package www serves files over HTTP/1.1, and a page that shows how the
// server is doing.
//
// The model: [Protocol] is a net/http server on admitted connections. One
// connection holds one thread, however many requests it carries. Its stage
// clocks tell command while a request is read, deliver while it is answered,
// and idle between two.
//
//	/healthz      200 "ok", or 503 while the server stops
//	/status       the services and their threads, for people
//	/status.json  the same for programs (also /status with Accept: application/json)
//	/...          files of Options.Root; without an index.html a welcome page
//
// The status is shown only to addresses in Options.StatusFrom, and is not
// there for others. Files whose name begins with a dot do not exist, but for
// /.well-known/, and folders are never listed.
//
// The first call:
//
//	p, err := www.New(www.Options{Root: "public", Status: func() server.Status { return s.Status() }})
//	server.Service{Name: "www", Listen: ":8080", Protocol: p}
//
// While at least a half of the pool's threads are held, a connection ends with
// its answer, and those that wait for another request are soon cut: browsers
// come back, and nobody holds the pool by asking once.
//
// A connection is proven when its first request was answered in full with a
// status below 400. A request that is no HTTP is a fail event.
//
// Absent on purpose: TLS, other methods than GET and HEAD, and anything
// dynamic.
package www
