package loss

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors of New.
var (
	ErrThreads = errors.New("loss: a pool needs at least one thread")
	ErrTooMany = errors.New("loss: too many arrivals or sources")
	ErrSource  = errors.New("loss: no such source")
)

// MaxArrivals bounds the arrivals of a recording, each refusal of a folded one
// counted, and its sources. A system needs some 130 bytes for an arrival.
const MaxArrivals = 1 << 24

// Arrival is one client that came to the pool, or several that were refused
// and folded into one line.
type Arrival struct {
	// At is when it came, since the beginning of the recording. What was
	// before it, open connections and the traffic that leads up to it, has a
	// negative one: it is replayed, and counted nowhere.
	At time.Duration
	// Hold is how long it held its thread; of no meaning if it was refused.
	Hold time.Duration
	// Of that, Before passed until it asked for a scanner, Wait until it had
	// one, and Scan until the scanner was done. All zero: it never asked.
	Before, Wait, Scan time.Duration
	Source             uint32 // below Recording.Sources
	Count              uint32 // refusals in this line; 0 means 1
	Service            uint16
	Refused            bool // for want of a free thread

	again bool // see System.missed
}

// Recording is what came to one pool in a stretch of time.
type Recording struct {
	Threads  int // of the pool
	Sources  int // how many there are
	Arrivals []Arrival
	// Length of the stretch; if zero, up to the last arrival.
	Length time.Duration
	// Of that, Need.Lambda is reckoned from RateFrom to RateUntil, so that quiet
	// times at the margins are left out; of all of it, if there is nothing
	// between the two.
	RateFrom, RateUntil time.Duration
}

// Options of a System. The zero value has no suspects and default retries.
type Options struct {
	// Suspects are the sources whose ban is in question.
	Suspects []uint32
	// Groups are the bans that a diagnosis also looks at one by one, each of
	// some sources. If nil, each suspect is one.
	Groups [][]uint32
	// Services that a ban of a source is for, in any change. Of a source that is
	// not here it is for all.
	Services map[uint32][]uint16
	// RetryWithin is the longest time between two tries of one client; one
	// minute if zero. If negative, each refusal is a client of its own.
	RetryWithin time.Duration
	// Unknown is how long a refused client would have held its thread where
	// nobody like it was ever served, as when a pool is full throughout; ten
	// seconds if zero, or none if negative. Better is a recording that begins
	// before the trouble.
	Unknown time.Duration
}

const (
	defaultUnknown = 10 * time.Second
)

// The longest time and the longest holding time, in nanoseconds: their sum
// does not overflow.
const (
	maxAt   = 1 << 61
	maxHold = 1 << 60
)

// System is a recording ready to be replayed. It does not change, and may be
// used by several goroutines at the same time.
type System struct {
	threads int
	sources int
	// Between these are the clients that a rate is reckoned from.
	rateFrom, rateUntil int64
	offered             uint64 // arrivals from the beginning on, and those that may be added
	first               int    // of these, in arrivals

	arrivals []Arrival // cleaned, in order of time
	// What the replay reads of them again and again, each in a row of its own.
	at    []int64
	marks []mark
	// chain numbers the tries of one client from 1; 0: not part of any. Of an
	// arrival that is not in the record, it is the client's that comes again.
	// own is the arrival by which the chain was served in the record, -1 if it
	// was not.
	chain []uint32
	own   []int32
	// beyond says which arrivals no ban is for; nil if there are none.
	beyond []bool

	days     days
	recorded calendar // the ends of the recorded connections
	unwaited calendar // and without their waits for the scanner

	scanners *coupling // nil where they make no difference

	suspects []uint32
	groups   [][]uint32
	suspect  []bool
	samples  samples
}

// mark is the source of an arrival and what else a replay asks of each.
type mark uint32

const (
	sourceOf  mark = 1<<25 - 1
	ofSuspect mark = 1 << (iota + 24)
	refused        // in the record
	chained        // one of several tries
	folded         // several arrivals in one
	arrived        // always
	scans          // it sends a message that is scanned, and that matters
	again          // it is not in the record; see System.missed
)

// New makes a recording ready. Arrivals that are out of order are sorted,
// times that cannot be are cut to what can: a recording is never refused for
// what a broken log says, only for its size. The recording is not kept.
func New(rec Recording, o Options) (*System, error) {
	if rec.Threads < 1 {
		return nil, ErrThreads
	}
	if len(rec.Arrivals) > MaxArrivals || rec.Sources > MaxArrivals {
		return nil, fmt.Errorf("%w: %d and %d", ErrTooMany, len(rec.Arrivals), rec.Sources)
	}
	s := &System{threads: rec.Threads, sources: max(rec.Sources, 0), arrivals: slices.Clone(rec.Arrivals)}
	if err := s.clean(); err != nil {
		return nil, err
	}
	if err := s.accuse(o.Suspects, o.Groups); err != nil {
		return nil, err
	}
	s.measure(rec)
	within := int64(o.RetryWithin)
	if within == 0 {
		within = int64(defaultRetry)
	}
	several := s.crowded()
	usual := s.wishes(several)
	if within > 0 {
		s.missed(several, &usual, within)
	}
	s.columns()
	s.limit(o.Services)
	if within > 0 {
		s.follow(several, &usual, within)
	}
	s.days = newDays(s.at)
	s.recorded = newCalendar(s, 0)
	s.unwaited = newCalendar(s, NoWait)
	unknown := o.Unknown
	if unknown == 0 {
		unknown = defaultUnknown
	}
	s.scanners = s.couple()
	s.samples = newSamples(s, min(max(int64(unknown), 0), maxHold))
	return s, nil
}

// clean makes every arrival one that the replay can count on.
func (s *System) clean() error {
	sorted, all := true, uint64(0)
	for i := range s.arrivals {
		a := &s.arrivals[i]
		if int64(a.Source) >= int64(s.sources) {
			return fmt.Errorf("%w: %d of %d", ErrSource, a.Source, s.sources)
		}
		a.again = false
		a.At = min(max(a.At, -maxAt), maxAt)
		a.Hold = min(max(a.Hold, 0), maxHold)
		a.Before = min(max(a.Before, 0), a.Hold)
		a.Wait = min(max(a.Wait, 0), a.Hold-a.Before)
		a.Scan = min(max(a.Scan, 0), a.Hold-a.Before-a.Wait)
		a.Count = max(a.Count, 1)
		if !a.Refused {
			a.Count = 1
		}
		if all += uint64(a.Count); all > MaxArrivals {
			return fmt.Errorf("%w: folded refusals counted", ErrTooMany)
		}
		if a.At >= 0 {
			s.offered += uint64(a.Count)
		} else {
			s.first++
		}
		sorted = sorted && (i == 0 || s.arrivals[i-1].At <= a.At)
	}
	if !sorted {
		slices.SortStableFunc(s.arrivals, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	}
	return nil
}

// accuse notes the suspects, each once, and what of them is banned one by one.
func (s *System) accuse(suspects []uint32, groups [][]uint32) error {
	s.suspect = make([]bool, s.sources)
	for _, src := range suspects {
		if int64(src) >= int64(s.sources) {
			return fmt.Errorf("%w: suspect %d of %d", ErrSource, src, s.sources)
		}
		if !s.suspect[src] {
			s.suspect[src] = true
			s.suspects = append(s.suspects, src)
		}
	}
	for _, g := range groups {
		s.groups = append(s.groups, slices.Clone(g))
	}
	if groups == nil {
		for i := range s.suspects {
			s.groups = append(s.groups, s.suspects[i:i+1:i+1])
		}
	}
	return nil
}

func (s *System) measure(rec Recording) {
	length := min(rec.Length, maxAt)
	if length <= 0 && len(s.arrivals) > 0 {
		length = s.arrivals[len(s.arrivals)-1].At
	}
	s.rateFrom, s.rateUntil = 0, int64(max(length, 0))
	from, until := max(int64(rec.RateFrom), 0), min(int64(rec.RateUntil), s.rateUntil)
	if from < until {
		s.rateFrom, s.rateUntil = from, until
	}
}

// rated says whether what comes at a time counts for the rate.
func (s *System) rated(at int64) bool { return s.rateFrom <= at && at <= s.rateUntil }

func (s *System) columns() {
	n := len(s.arrivals)
	s.at, s.marks, s.chain = make([]int64, n), make([]mark, n), make([]uint32, n)
	s.own = []int32{-1}
	for i := range s.arrivals {
		a := &s.arrivals[i]
		s.at[i], s.marks[i] = int64(a.At), mark(a.Source)|arrived
		if a.Refused {
			s.marks[i] |= refused
		}
		if s.suspect[a.Source] {
			s.marks[i] |= ofSuspect
		}
		if a.Count > 1 {
			s.marks[i] |= folded
		}
		if a.again {
			s.marks[i] |= again
		}
	}
}

// limit finds the arrivals of services that a ban of their source is not for.
func (s *System) limit(services map[uint32][]uint16) {
	if len(services) == 0 {
		return
	}
	s.beyond = make([]bool, len(s.arrivals))
	for i := range s.arrivals {
		a := &s.arrivals[i]
		of, limited := services[a.Source]
		s.beyond[i] = limited && !slices.Contains(of, a.Service)
	}
}

// hold is how long the connection of arrival i holds a thread under a change.
func (s *System) hold(i uint32, w Waiting) int64 {
	a := &s.arrivals[i]
	if w == NoWait {
		return int64(a.Hold - a.Wait)
	}
	return int64(a.Hold)
}
