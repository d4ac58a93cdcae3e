package traffic

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// maxBody is how much of a file a client reads.
const maxBody = 16 << 20

// get asks for the file over a fresh connection, as a simple client does.
func (c *liveClient) get(conn net.Conn) Outcome {
	path := c.live.Target.Path
	if path == "" {
		path = "/"
	}
	// An error of the write is told by the read: a server that refuses may
	// answer and close before it has read anything.
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
		path, conn.RemoteAddr())
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = r.Body.Close() }() // the connection goes with it
	if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, maxBody)); err != nil {
		return failure(err)
	}
	return wwwOutcome(r.StatusCode)
}

// wwwOutcome reads a status as the server means it.
func wwwOutcome(status int) Outcome {
	switch status {
	case http.StatusOK:
		return Done
	case http.StatusServiceUnavailable:
		return Busy
	case http.StatusTooManyRequests:
		return Sessions
	case http.StatusForbidden:
		return Banned
	}
	return Failed
}

// wwwDrip returns the i-th piece of a request that never ends.
func wwwDrip(i int) string {
	if i == 0 {
		return "GET / HTTP/1.1\r\nHost: localhost\r\n"
	}
	return fmt.Sprintf("X-%d: a\r\n", i)
}

// wwwAnswer reads the answer to a request that was never finished; ok is false
// while too little of it has come.
func wwwAnswer(answer []byte) (o Outcome, ok bool) {
	var minor, status int
	if _, err := fmt.Sscanf(string(answer), "HTTP/1.%d %3d", &minor, &status); err != nil || status < 100 {
		return 0, false
	}
	if o := wwwOutcome(status); o != Done && o != Failed {
		return o, true
	}
	return Cut, true // 408 and the like
}
