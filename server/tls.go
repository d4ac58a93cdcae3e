package server

import (
	"crypto/tls"
	"net"

	"overstay/connlog"
)

// Admitted returns the connection that a protocol's listener handed out: as it
// is, or under TLS. How a client says goodbye under TLS is between it and the
// protocol, so the log takes that for the server's end.
func Admitted(c net.Conn) (*Conn, bool) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	admitted, ok := c.(*Conn)
	return admitted, ok
}

// StartTLS does the server's side of a handshake, in the stage tls and within
// its limits. A client that does not manage it has failed. On success the
// connection is spoken to through the result, and the caller enters the next
// stage.
func (c *Conn) StartTLS(config *tls.Config) (*tls.Conn, error) {
	c.Enter(connlog.StageTLS)
	t := tls.Server(c, config)
	if err := t.Handshake(); err != nil {
		c.Fail(connlog.FailTLS, "")
		return nil, err
	}
	return t, nil
}
