package loss

import (
	"math"
	"time"
)

// Waiting says what becomes of the waits for a scanner in a replay.
type Waiting uint8

// Waits are as recorded, but for what other messages make of them; or there
// are none.
const (
	AsRecorded Waiting = iota
	NoWait
)

// Unlimited threads: nobody is refused.
const Unlimited = math.MaxInt

// Change is what is different from the record in a replay. The zero value
// changes nothing.
type Change struct {
	Without []uint32   // sources that do not come; numbers that are none are ignored
	Bans    []TimedBan // sources that do not come for a time
	Threads int        // of the pool; 0: as recorded
	Waiting Waiting
}

// TimedBan keeps sources out for some times: who comes in one of them does not,
// and what the sources hold when it begins ends there.
type TimedBan struct {
	Sources []uint32 // numbers that are none are ignored
	Times   []Times  // in any order; they may overlap
}

// Times are from From on and up to Until.
type Times struct{ From, Until time.Duration }

// Outcome of one replay. Served, Refused, Spared and LeftOut add up to the
// arrivals of the recording from its beginning on, each refusal of a folded
// one counted, and those that were added.
type Outcome struct {
	Served  uint64
	Refused uint64
	Spared  uint64 // tries that did not happen, because their client was served before
	LeftOut uint64 // of the sources that did not come
	// Added are arrivals that are not in the record: of clients that were served
	// earlier than there, and came again as soon as they used to.
	Added uint64
	// Others are the refusals of sources that are not suspects: those that a
	// ban of the suspects is to avert.
	Others uint64
	// Tried are the arrivals of sources that are not suspects that did happen.
	Tried   uint64
	Drawn   uint64 // clients whose holding time was drawn
	Guessed uint64 // of them, those for whom there was nothing to draw from
	Peak    int    // most threads held at once
	// BySource are the refusals of each source.
	BySource []uint64
}

// Run replays the recording once. The same seed gives the same outcome.
func (s *System) Run(c Change, seed uint64) Outcome {
	p := newPlayer(s)
	p.bySource = make([]uint64, s.sources)
	out := p.play(c, seed, unbounded)
	out.BySource = p.bySource
	return out
}

// player has the memory that a replay needs, to be used for the next one too.
// It is for one goroutine.
type player struct {
	idle   func() bool // Question.Over
	s      *System
	out    []bool   // by source: it does not come
	gone   mark     // who out is to be asked about
	bans   bans     // who does not come for a time
	done   []bool   // by chain: its client was served
	ending []uint32 // before each arrival, and at the end: connections that end

	queued  mark   // who makes others wait for the scanners
	came    []bool // by arrival, of those with a message: it is as in the record
	scanned int    // messages of the record that were looked at
	asking  asking // the other messages that are on their way to the scanners
	order   uint32 // of these
	nextAsk int64  // when the next message asks for a scanner, at the earliest
	free    heap   // when each scanner has done what it was given

	drawn    []lot    // for each refused arrival, by the seed drawnFor
	errands  []errand // of these; empty if the scanners make no difference
	drawnFor uint64

	seed    uint64
	waiting Waiting
	threads int
	busy    int
	turn    int // refused arrivals so far
	now     Outcome

	// Kept only if not nil.
	bySource []uint64
	work     *work    // of the clients that are served
	scans    *[]Job   // of the scanners for them
	held     []uint32 // how many clients there were with so many threads held
}

// work is what the served clients ask of the pool.
type work struct {
	clients uint64  // that came in the time that the rate is reckoned from
	seconds float64 // that those hold a thread
}

func newPlayer(s *System) *player {
	return &player{
		s:      s,
		out:    make([]bool, s.sources),
		done:   make([]bool, len(s.own)),
		ending: make([]uint32, len(s.at)+1),
	}
}

func (p *player) begin(c Change, seed uint64) {
	clear(p.out)
	clear(p.done)
	clear(p.ending)
	clear(p.bySource)
	p.gone = 0
	for _, src := range c.Without {
		if int64(src) >= int64(len(p.out)) {
			continue
		}
		p.out[src] = true
		// Mostly these are suspects, and others need no look at the table.
		if p.gone |= ofSuspect; !p.s.suspect[src] {
			p.gone |= arrived
		}
	}
	p.bans.set(p.s, c.Bans)
	p.busy, p.turn, p.now = 0, 0, Outcome{}
	p.asking, p.free, p.order, p.queued, p.scanned, p.nextAsk = p.asking[:0], p.free[:0], 0, 0, 0, never
	if c.Waiting == AsRecorded && p.s.scanners != nil {
		p.queued, p.nextAsk = scans, p.s.scanners.messages[0].at
		if p.came == nil {
			p.came = make([]bool, len(p.s.at))
		}
		clear(p.came)
	}
	p.seed, p.waiting, p.threads = seed, AsRecorded, c.Threads
	if c.Waiting == NoWait {
		p.waiting = NoWait
	}
	if p.threads <= 0 {
		p.threads = p.s.threads
	}
	if p.drawn == nil || p.drawnFor != seed {
		p.draw(seed)
	}
}

// play replays the recording, and gives up once more than limit arrivals were
// refused. Ends come before arrivals of the same time.
func (p *player) play(c Change, seed, limit uint64) Outcome {
	if p.idle != nil && p.idle() {
		return Outcome{}
	}
	p.begin(c, seed)
	p.stretch(0, p.s.first, unbounded)
	p.now = Outcome{}
	clear(p.bySource)
	clear(p.held)
	p.stretch(p.s.first, len(p.s.marks), limit)
	return p.now
}

// stretch replays some of the arrivals.
func (p *player) stretch(from, to int, limit uint64) {
	s, end := p.s, p.s.recorded
	if p.waiting == NoWait {
		end = s.unwaited
	}
	for j := from; j < to; j++ {
		m, cut := s.marks[j], int64(math.MaxInt64)
		p.busy -= int(p.ending[j])
		p.turn += int(m & refused / refused)
		if m&again != 0 {
			if !p.done[s.chain[j]] {
				continue
			}
			p.now.Added++
		}
		banned := s.beyond == nil || !s.beyond[j]
		if m&p.bans.ask != 0 && banned {
			cut = p.bans.next(m, s.at[j])
		}
		switch {
		case m&p.gone != 0 && p.out[m&sourceOf] && banned, cut <= s.at[j]:
			p.now.LeftOut += s.count(j, m)
			continue
		case m&chained != 0 && p.done[s.chain[j]]:
			p.now.Spared += s.count(j, m)
			continue
		}
		if p.nextAsk <= s.at[j] {
			p.scan(s.at[j], j)
		}
		switch {
		case m&refused != 0:
			p.anew(uint32(j), m, cut)
		case p.busy >= p.threads:
			p.refuse(m, 1)
		case cut < math.MaxInt64 || m&p.queued != 0:
			p.busy++
			if m&p.queued == 0 || !p.ask(j, cut) {
				p.ends(j, min(cut, s.at[j]+s.hold(uint32(j), p.waiting)))
			}
			p.enter(uint32(j), m, cut, uint32(j))
		default:
			p.ending[end[j]]++
			p.busy++
			p.enter(uint32(j), m, cut, uint32(j))
		}
		if p.now.Refused > limit {
			return
		}
	}
}

// count is how many arrivals the arrival j is.
func (s *System) count(j int, m mark) uint64 {
	if m&folded != 0 {
		return uint64(s.arrivals[j].Count)
	}
	return 1
}

// anew lets a client in that was refused in the record, or several, if it can.
func (p *player) anew(j uint32, m mark, cut int64) {
	count := p.s.count(int(j), m)
	clients := count
	if m&chained != 0 {
		clients = 1
	}
	for k := range clients {
		if p.busy >= p.threads {
			p.refuse(m, count-k)
			return
		}
		like, errand := p.lot(j, k)
		if like.like == nobody {
			p.now.Guessed++
		}
		// Who takes no time holds no thread.
		if hold := like.hold[p.waiting]; hold > 0 {
			p.busy++
			if p.queued == 0 || !p.askAnew(j, errand, cut) {
				p.ends(int(j), min(cut, p.s.at[j]+hold))
			}
		}
		p.now.Drawn++
		p.enter(j, m, cut, like.like)
	}
	p.now.Spared += count - clients
}

// lot is what the client number k of arrival j gets, which is looked at.
func (p *player) lot(j uint32, k uint64) (like lot, e *errand) {
	switch {
	case k > 0:
		like = p.s.pick(j, k, p.seed)
		return like, p.s.errandOf(like.like)
	case p.queued != 0:
		return p.drawn[p.turn-1], &p.errands[p.turn-1]
	default:
		return p.drawn[p.turn-1], nil
	}
}

// ends notes when a connection ends that has a thread at arrival j.
func (p *player) ends(j int, at int64) {
	if at <= p.s.at[j] {
		p.busy--
		return
	}
	p.ending[p.s.days.at(at)]++
}

// enter counts the client of arrival j, who is served and has the times of the
// connection like, but is cut off at the time cut.
func (p *player) enter(j uint32, m mark, cut int64, like uint32) {
	p.now.Served++
	p.now.Tried += uint64(^m & ofSuspect / ofSuspect)
	p.now.Peak = max(p.now.Peak, p.busy)
	if p.held != nil {
		p.count()
	}
	if m&chained != 0 {
		p.done[p.s.chain[j]] = true
	}
	if p.work != nil || p.scans != nil {
		p.use(j, cut, like)
	}
}

// use notes what the client asks of the pool and of the scanners.
func (p *player) use(j uint32, cut int64, like uint32) {
	at := p.s.at[j]
	if p.work != nil && p.s.rated(at) {
		p.work.clients++
		hold := p.s.samples.unknown
		if like != nobody {
			hold = p.s.hold(like, p.waiting)
		}
		p.work.seconds += time.Duration(min(hold, cut-at)).Seconds()
	}
	if p.scans == nil || like == nobody {
		return
	}
	if a := &p.s.arrivals[like]; a.Scan > 0 {
		*p.scans = append(*p.scans, Job{At: time.Duration(at) + a.Before, Work: a.Scan})
	}
}

func (p *player) refuse(m mark, n uint64) {
	p.now.Refused += n
	if p.bySource != nil {
		p.bySource[m&sourceOf] += n
	}
	if m&ofSuspect == 0 {
		p.now.Others += n
		p.now.Tried += n
	}
}
