package bulk

// session is a connection that is open.
type session struct {
	opened int64 // microseconds
	source int32
	head   uint32 // the last head of a file that named it
}

// sessions are the connections that are open, by their numbers. A server counts
// them up, so those that are open at once are neighbours, and the low bits of a
// number are its place in a table; the few that find it taken are in a map.
type sessions struct {
	table []seat // a power of two
	rest  map[uint64]session
	n     int
}

type seat struct {
	conn  uint64
	taken bool
	session
}

const leastSeats = 256

func (s *sessions) seat(conn uint64) *seat { return &s.table[conn&uint64(len(s.table)-1)] }

// name notes that a head named a connection; false if it is not open.
func (s *sessions) name(conn uint64, head uint32) bool {
	if s.n == 0 {
		return false
	}
	if at := s.seat(conn); at.taken && at.conn == conn {
		at.head = head
		return true
	}
	one, ok := s.rest[conn]
	if ok {
		one.head = head
		s.rest[conn] = one
	}
	return ok
}

// add adds a connection that is not there.
func (s *sessions) add(conn uint64, one session) {
	if s.n++; s.n*2 > len(s.table) {
		s.grow()
	}
	s.place(conn, one)
}

func (s *sessions) place(conn uint64, one session) {
	if at := s.seat(conn); !at.taken {
		*at = seat{conn, true, one}
		return
	}
	s.rest[conn] = one
}

// grow seats all of them anew.
func (s *sessions) grow() {
	old, rest := s.table, s.rest
	s.table, s.rest = make([]seat, max(2*len(old), leastSeats)), make(map[uint64]session)
	for i := range old {
		if old[i].taken {
			s.place(old[i].conn, old[i].session)
		}
	}
	for conn, one := range rest {
		s.place(conn, one)
	}
}

// take removes a connection; false if it is not open.
func (s *sessions) take(conn uint64) (one session, ok bool) {
	if s.n == 0 {
		return one, false
	}
	if at := s.seat(conn); at.taken && at.conn == conn {
		at.taken = false
		s.n--
		return at.session, true
	}
	if one, ok = s.rest[conn]; ok {
		delete(s.rest, conn)
		s.n--
	}
	return one, ok
}

// each visits all of them, and removes those that are to go.
func (s *sessions) each(gone func(*session) bool) {
	for i := range s.table {
		if at := &s.table[i]; at.taken && gone(&at.session) {
			at.taken = false
			s.n--
		}
	}
	for conn, one := range s.rest {
		if gone(&one) {
			delete(s.rest, conn)
			s.n--
		}
	}
}
