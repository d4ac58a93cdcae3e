package occupancy

import (
	"cmp"
	"slices"
)

// session is a connection that is open.
type session struct {
	opened        int64   // microseconds
	unprovenUntil int64   // if it is proven
	granule       int64   // of a coarse clock, in which it began to be counted
	toll          float64 // of its pool when it began
	source        int32
	head          uint32 // the last head of a file that named it
	service       uint16
	pool          uint16
	proven        bool
}

// sessions are the connections that are open, by their numbers. A server counts
// them up, so those that are open at once are neighbours, and the low bits of a
// number are its place in a table; whoever finds that taken sits down on one of
// the next few seats, and where these are taken too, the rest are in a map.
type sessions struct {
	conns []uint64  // who sits where, plus 1: a power of two, and some more at the end
	seats []session // of each
	rest  map[uint64]session
	n     int
}

const (
	leastSeats = 256
	nearby     = 8 // seats that are looked at for one number
)

// find returns a connection's session, nil if it is not open. It is valid
// until the next call of another method.
func (s *sessions) find(conn uint64) *session {
	if s.n == 0 {
		return nil
	}
	at := conn & uint64(len(s.conns)-nearby-1)
	for i, c := range s.conns[at : at+nearby] {
		if c == conn+1 && c != 0 {
			return &s.seats[at+uint64(i)]
		}
	}
	if len(s.rest) > 0 {
		if one, ok := s.rest[conn]; ok {
			return &one
		}
	}
	return nil
}

// name notes that a head named a connection that is open.
func (s *sessions) name(conn uint64, head uint32) {
	if one := s.find(conn); one != nil {
		one.head = head
		s.put(conn, one)
	}
}

// put writes back what find returned.
func (s *sessions) put(conn uint64, one *session) {
	if _, ok := s.rest[conn]; ok {
		s.rest[conn] = *one
	}
}

// add adds a connection that is not there.
func (s *sessions) add(conn uint64, one session) {
	if s.n++; s.n*2 > len(s.conns)-nearby {
		s.grow()
	}
	s.seat(conn, one)
}

func (s *sessions) seat(conn uint64, one session) {
	at := conn & uint64(len(s.conns)-nearby-1)
	for i, c := range s.conns[at : at+nearby] {
		if c == 0 && conn+1 != 0 {
			s.conns[at+uint64(i)], s.seats[at+uint64(i)] = conn+1, one
			return
		}
	}
	s.rest[conn] = one
}

// grow seats all of them anew.
func (s *sessions) grow() {
	old := *s
	room := max(2*(len(old.conns)-nearby), leastSeats)
	s.conns, s.seats = make([]uint64, room+nearby), make([]session, room+nearby)
	s.rest = make(map[uint64]session)
	for i, c := range old.conns {
		if c != 0 {
			s.seat(c-1, old.seats[i])
		}
	}
	for conn, one := range old.rest {
		s.seat(conn, one)
	}
}

// take removes a connection; false if it is not open.
func (s *sessions) take(conn uint64) (one session, ok bool) {
	if s.n == 0 {
		return one, false
	}
	at := conn & uint64(len(s.conns)-nearby-1)
	for i, c := range s.conns[at : at+nearby] {
		if c == conn+1 && c != 0 {
			s.conns[at+uint64(i)] = 0
			s.n--
			return s.seats[at+uint64(i)], true
		}
	}
	if len(s.rest) == 0 {
		return one, false
	}
	if one, ok = s.rest[conn]; ok {
		delete(s.rest, conn)
		s.n--
	}
	return one, ok
}

// numbered is a session with its connection's number.
type numbered struct {
	conn uint64
	session
}

// sorted returns all of them in the order of their numbers, so that what is
// added up over them is the same for every run.
func (s *sessions) sorted() []numbered {
	all := make([]numbered, 0, s.n)
	for i, c := range s.conns {
		if c != 0 {
			all = append(all, numbered{c - 1, s.seats[i]})
		}
	}
	for conn, one := range s.rest {
		all = append(all, numbered{conn, one})
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.conn, b.conn) })
	return all
}

// each visits all of them, in no order.
func (s *sessions) each(visit func(*session)) {
	for i, c := range s.conns {
		if c != 0 {
			visit(&s.seats[i])
		}
	}
	for conn, one := range s.rest {
		visit(&one)
		s.rest[conn] = one
	}
}
