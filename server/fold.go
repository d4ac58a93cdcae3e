package server

import (
	"net/netip"
	"time"

	"overstay/connlog"
)

const (
	foldAfter = 10          // lines of one source and reason in one window
	foldEvery = time.Second // the window, and the time between folded lines
	// maxFolded bounds the memory. The refusals of further sources are
	// written one by one until the next flush makes room.
	maxFolded = 16384
)

// fold thins out the lines about refusals: at most ten a second for one source
// and reason, then one a second with the count of those held back. It is a
// pure function of its calls, so the caller brings the time.
type fold struct {
	streams map[foldKey]*foldStream
}

type foldKey struct {
	service string
	source  netip.Prefix
	reason  connlog.Reason
}

type foldStream struct {
	since time.Time // start of the window
	lines int       // written in this window
	held  connlog.Event
}

func newFold() *fold { return &fold{streams: make(map[foldKey]*foldStream)} }

// add takes one refusal and returns whether its line is to be written now. If
// not, it is counted, and flush returns it.
func (f *fold) add(now time.Time, e *connlog.Event) bool {
	key := foldKey{e.Service, connlog.AddressLevel.Source(e.ClientIP), e.Reason}
	s := f.streams[key]
	if s == nil {
		if len(f.streams) < maxFolded {
			f.streams[key] = &foldStream{since: now, lines: 1}
		}
		return true
	}
	if s.held.Count == 0 && now.Sub(s.since) >= foldEvery {
		s.since, s.lines = now, 0
	}
	if s.held.Count == 0 && s.lines < foldAfter {
		s.lines++
		return true
	}
	count := s.held.Count + 1
	s.held = *e
	s.held.Count = count
	return false
}

// flush calls write with each line that was held back for long enough, or with
// all of them, and forgets the streams that have ended. A stream that goes on
// stays folded.
func (f *fold) flush(now time.Time, all bool, write func(*connlog.Event)) {
	for key, s := range f.streams {
		if !all && now.Sub(s.since) < foldEvery {
			continue
		}
		if s.held.Count == 0 {
			delete(f.streams, key)
			continue
		}
		write(&s.held)
		s.held.Count = 0
		s.since, s.lines = now, foldAfter
	}
}
