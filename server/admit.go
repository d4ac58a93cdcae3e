package server

import (
	"net"
	"net/netip"
	"time"

	"overstay/connlog"
)

// admit takes a connection from the kernel. It waits for nothing.
func (s *service) admit(raw net.Conn) {
	peer, ok := peerOf(raw)
	if !ok {
		s.server.logger.Warn("peer without an IP address", "service", s.Name, "peer", raw.RemoteAddr())
		_ = raw.Close() // There is nobody to tell.
		return
	}
	if set := s.current(); set.trusts(peer.Addr()) {
		s.introduce(raw, peer)
	} else {
		s.decide(raw, peer, set)
	}
}

// decide decides over a new connection: whether its source is banned, holds
// too much already, or finds no free thread; else it passes it to the
// protocol.
func (s *service) decide(raw net.Conn, peer netip.AddrPort, set *settings) {
	if s.server.banned.Blocked(peer.Addr(), s.Name) {
		s.refuse(raw, peer.Addr(), connlog.RefuseBanned, int(s.pool.busy.Load()), set)
		return
	}
	from := originOf(peer.Addr())
	busy, refused := s.pool.take(from, set.perSource)
	if refused != "" {
		s.refuse(raw, peer.Addr(), refused, busy, set)
		return
	}
	if s.greetsLate(set) {
		raw = &kept{Conn: raw, remote: raw.RemoteAddr()}
	}
	c := s.begin(raw, peer, from, busy, set.tls != nil || s.greetsLate(set))
	// A ban that was made after the first look and before the connection was
	// registered has been missed by Recheck.
	switch {
	case s.server.banned.Blocked(peer.Addr(), s.Name):
		c.finish(connlog.EndBanned)
		c.abort()
		s.server.handlers.Done()
	case !c.preparing:
		s.handOver(c, c)
	case s.server.stopping():
		_ = c.Close() // Who stops the server may have missed it.
	default:
		s.server.tasks.Go(func() { s.prepare(c, set) })
	}
}

// begin makes a connection of one that has been given a thread.
func (s *service) begin(raw net.Conn, peer netip.AddrPort, from origin, busy int, preparing bool) *Conn {
	s.accepted.Add(1)
	s.server.handlers.Add(1)
	c := newConn(raw, s, peer, from, time.Now())
	c.preparing = preparing
	c.open(busy)
	s.pool.register(c)
	return c
}

// handOver gives c to the protocol, which speaks to it through client.
func (s *service) handOver(c *Conn, client net.Conn) {
	if !s.door.pass(client) {
		_ = c.Close() // The server stops.
	}
}

// peerOf returns the address of the other end, unmapped and without a zone.
func peerOf(c net.Conn) (netip.AddrPort, bool) {
	var ap netip.AddrPort
	switch a := c.RemoteAddr().(type) {
	case nil:
		return netip.AddrPort{}, false
	case *net.TCPAddr:
		ap = a.AddrPort()
	default:
		var err error
		if ap, err = netip.ParseAddrPort(a.String()); err != nil {
			return netip.AddrPort{}, false
		}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), ap.Addr().IsValid()
}
