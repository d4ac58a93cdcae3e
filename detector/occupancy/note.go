package occupancy

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// note is what a fold has to know of an event. It takes a sixth of its room.
type note struct {
	at      int64  // microseconds since 1970
	seq     uint64 // of the line
	conn    uint64
	address place // of the client, 16 bytes
	// extra is the time held in microseconds; of a refusal how many there were;
	// of a list of services its place among the lists.
	extra   int64
	busy    int32
	threads int32
	service uint16 // its place among the names
	boot    uint16 // likewise
	kind    connlog.Kind
	marks   marks
	source  int32 // as the fold found it
}

// place is an address, or the first bits of one: IPv4 in its mapped form.
type place struct{ high, low uint64 }

type marks uint8

const (
	hasAddress marks = 1 << iota
	isIPv4
	isProven // or a continued start
	busyRefusal
	sessionsRefusal
	isMoved   // an opening that was told too late for its place
	endProves // a close whose connection, if it was proven, was so at its end
	opensToo  // a close that stands for the opening as well
)

// Notes are events in the order of a log, written down for a Fold or a
// Timeline. Taking notes may be done on another core than adding up. The zero
// value is empty and ready. Notes keep no part of an event but its strings.
type Notes struct {
	all   []note
	stand uint64              // for how many events more
	lists [][]connlog.Service // of start and beat lines
	names names
}

// names are strings that come again and again. They are kept from one use of
// the notes to the next one.
type names struct {
	texts  []string
	places map[string]uint16 // of all, where there are more than a few
	last   [8]uint16         // of a service and of a boot, by their length
}

const (
	fewNames  = 16
	mostNames = 4096
)

// of returns the place of a text.
func (n *names) of(text string) uint16 {
	last := &n.last[len(text)&7]
	if int(*last) < len(n.texts) && n.texts[*last] == text {
		return *last
	}
	*last = n.find(text)
	return *last
}

func (n *names) find(text string) uint16 {
	if len(n.texts) <= fewNames {
		if i := slices.Index(n.texts, text); i >= 0 {
			return uint16(i)
		}
	} else if i, ok := n.places[text]; ok {
		return i
	}
	if len(n.texts) == math.MaxUint16 { // No log that is meant well has so many.
		if text = others; n.places[text] == 0 {
			return math.MaxUint16 - 1
		}
		return n.places[text]
	}
	i := uint16(len(n.texts))
	n.texts = append(n.texts, text)
	if len(n.texts) > fewNames {
		if n.places == nil {
			n.places = make(map[string]uint16)
			for at, text := range n.texts {
				n.places[text] = uint16(at)
			}
		}
		n.places[text] = i
	}
	return i
}

// Reset empties the notes and keeps their room.
func (n *Notes) Reset() {
	n.all, n.stand = n.all[:0], 0
	clear(n.lists)
	n.lists = n.lists[:0]
	if len(n.names.texts) > mostNames {
		n.names = names{}
	}
	if cap(n.lists) > mostNames {
		n.lists = nil
	}
}

// fewNotes are as many as there is room for at first.
const fewNotes = 64

// Events is the number of events that were noted down.
func (n *Notes) Events() uint64 { return uint64(len(n.all)) + n.stand }

// next returns room for a note. It holds an old one.
func (n *Notes) next() *note {
	if len(n.all) == cap(n.all) {
		n.all = slices.Grow(n.all, fewNotes)
	}
	n.all = n.all[:len(n.all)+1]
	return &n.all[len(n.all)-1]
}

// Visit notes down a connection that was told of when it was over. Such notes
// are for an Order, which puts the opening in its place; told says that the
// opening was noted down before.
func (n *Notes) Visit(v *connlog.Visit, told bool) {
	one := n.next()
	one.kind, one.marks = connlog.Close, endProves
	one.at = believed(v.To)
	one.extra = max(one.at-believed(v.From), 0)
	one.seq, one.conn, one.busy, one.threads = 0, v.Conn, small(v.Fails), 0
	one.service, one.boot = n.names.of(v.Service), n.names.of("")
	if one.place(v.Client); v.Proven {
		one.marks |= isProven
	}
	n.stand += uint64(v.Events() - 1)
	if told {
		n.stand--
	} else {
		one.marks |= opensToo
	}
}

// Observe notes down the next event.
func (n *Notes) Observe(e *connlog.Event) {
	to := n.next()
	to.at, to.seq, to.conn, to.kind = microsOf(e.Time), e.Seq, e.Conn, e.Kind
	to.service, to.boot = n.names.of(e.Service), n.names.of(e.Boot)
	to.busy, to.threads = small(e.Busy), small(e.Threads)
	to.extra, to.marks = 0, 0
	to.place(e.ClientIP)
	switch e.Kind {
	case connlog.Open, connlog.Close:
		to.extra = max(e.Held.Microseconds(), 0)
		if e.Proven {
			to.marks |= isProven
		}
	case connlog.Refuse:
		to.extra = int64(min(max(e.Count, 1), math.MaxInt64))
		switch e.Reason {
		case connlog.RefuseBusy:
			to.marks |= busyRefusal
		case connlog.RefuseSessions:
			to.marks |= sessionsRefusal
		}
	case connlog.Start, connlog.Beat:
		if e.Continued {
			to.marks |= isProven
		}
		to.extra = int64(len(n.lists))
		n.lists = append(n.lists, slices.Clone(e.Services))
	}
}

// place notes whose event it is.
func (n *note) place(client netip.Addr) {
	if !client.IsValid() {
		n.address = place{}
		return
	}
	n.address = placeOf(client.As16())
	n.marks |= hasAddress
	if n.address.high == 0 && n.address.low>>32 == 0xffff {
		n.marks |= isIPv4
	}
}

func placeOf(bytes [16]byte) place {
	return place{binary.BigEndian.Uint64(bytes[:8]), binary.BigEndian.Uint64(bytes[8:])}
}

// The years that a log line can have, in microseconds.
const (
	micros     = 1_000_000
	firstMicro = -62167219200 * micros // year 0
	lastMicro  = 253402300800 * micros // year 10000
)

func microsOf(t time.Time) int64 {
	second := min(max(t.Unix(), firstMicro/micros), lastMicro/micros-1)
	return second*micros + int64(t.Nanosecond()/1000)
}

// believed is a time that a log line can have.
func believed(us int64) int64 { return min(max(us, firstMicro), lastMicro-1) }

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

func small(n int) int32 { return int32(min(max(n, 0), maxThreads)) }

// maxThreads are more than a pool is believed to have.
const maxThreads = 1 << 18
