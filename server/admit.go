package server

import (
	"net"
	"net/netip"
	"time"

	"overstay/connlog"
)

// admit decides over a new connection: whether its source is banned, holds too
// much already, or finds no free thread; else it passes it to the protocol.
func (s *service) admit(raw net.Conn) {
	peer, ok := peerOf(raw)
	if !ok {
		s.server.logger.Warn("peer without an IP address", "service", s.Name, "peer", raw.RemoteAddr())
		_ = raw.Close() // There is nobody to tell.
		return
	}
	if s.server.banned.Blocked(peer.Addr(), s.Name) {
		s.refuse(raw, peer.Addr(), connlog.RefuseBanned, int(s.pool.busy.Load()))
		return
	}
	source := connlog.AddressLevel.Source(peer.Addr())
	busy, refused := s.pool.take(source, s.limit)
	if refused != "" {
		s.refuse(raw, peer.Addr(), refused, busy)
		return
	}
	s.accepted.Add(1)
	s.server.handlers.Add(1)
	c := newConn(raw, s, peer, source, time.Now())
	c.open(busy)
	s.pool.register(c)
	// A ban that was made after the first look and before the connection was
	// registered has been missed by Recheck.
	if s.server.banned.Blocked(peer.Addr(), s.Name) {
		c.finish(connlog.EndBanned)
		c.abort()
		s.server.handlers.Done()
		return
	}
	if !s.door.pass(c) {
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
