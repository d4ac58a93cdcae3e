package formats

import (
	"time"

	"overstay/connlog"
)

// enough is the number of events from which on it means something that none of
// them is an opening.
const enough = 20

// Seen returns the format with Gives as the beginning of one log of it shows:
// sshd's says nothing of openings below LogLevel VERBOSE, a syslog file may
// have stamps of a microsecond, and an nginx log no request_time.
func (f Format) Seen(head []byte) Format {
	p := f.NewParser(Options{Now: time.Unix(1<<33, 0)})
	var s sight
	for {
		line, rest, whole := cutLine(head)
		if !whole {
			break
		}
		head = rest
		_ = p.Parse(line, s.look) // Lines that tell nothing say nothing of the others.
	}
	f.Gives = s.gives(f.Gives)
	return f
}

// sight is what the events of a head have in common.
type sight struct {
	events, opens int
	held          bool
	begun, said   time.Duration // how fine the stamps of openings are, and of others; 0: there are none
}

func (s *sight) look(e *connlog.Event) {
	s.events++
	s.held = s.held || e.Held > 0
	stamps := &s.said
	if e.Kind == connlog.Open {
		s.opens++
		stamps = &s.begun
	}
	fine := time.Second
	switch micros := e.Time.Nanosecond() / 1000; {
	case micros%1000 != 0:
		fine = time.Microsecond
	case micros != 0:
		fine = time.Millisecond
	}
	if *stamps == 0 || fine < *stamps {
		*stamps = fine
	}
}

// gives corrects what a format can tell by what was seen. Of openings and ends
// one may be reckoned from the other, and looks finer than it is.
func (s *sight) gives(g Gives) Gives {
	if clock := max(s.begun, s.said); clock > 0 && (clock < g.Clock || s.events >= enough) {
		g.Clock = clock
	}
	if s.events >= enough {
		g.Opens = g.Opens && s.opens > 0
		g.Durations = g.Durations && s.held
	}
	return g
}
