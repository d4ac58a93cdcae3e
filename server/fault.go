package server

import "overstay/connlog"

// CloseBroken closes the connection because of something behind the protocol,
// such as an upstream, and not because of the client: its end is error.
func (c *Conn) CloseBroken() error {
	c.finish(connlog.EndError)
	return c.Close()
}
