package loss

import (
	"math"
	"time"
)

// Question is what a diagnosis is to find out. The zero value asks with the
// defaults.
type Question struct {
	Seed  uint64 `json:"seed"`
	Seeds int    `json:"seeds"` // replays of each change; 5 if zero, at most 1000
	// Target is the part of the arrivals that may be refused; one in a
	// thousand if zero.
	Target float64 `json:"target"`
	// Singles is how many suspects, the first of them, are also banned one by
	// one; 10 if zero, none if negative. See Options.Groups.
	Singles int `json:"singles"`
	// MaxWait is what a message may wait for a scanner, one second if zero,
	// and Late the part of them that may wait longer, one in a hundred if zero.
	MaxWait time.Duration `json:"max_wait_ns"`
	Late    float64       `json:"late"`
	// Over, if set, is asked before each replay whether nobody waits for the
	// answer any more. What comes back then soon means nothing. It may be asked
	// by several goroutines.
	Over func() bool `json:"-"`
}

const (
	unbounded      = math.MaxUint64
	defaultSeeds   = 5
	maxSeeds       = 1000
	defaultTarget  = 1e-3
	defaultSingles = 10
	defaultMaxWait = time.Second
	defaultLate    = 1e-2
)

func (q Question) filled() Question {
	if q.Seeds <= 0 {
		q.Seeds = defaultSeeds
	}
	q.Seeds = min(q.Seeds, maxSeeds)
	if !(q.Target > 0) {
		q.Target = defaultTarget
	}
	if q.Singles == 0 {
		q.Singles = defaultSingles
	}
	if q.MaxWait <= 0 {
		q.MaxWait = defaultMaxWait
	}
	if !(q.Late > 0) {
		q.Late = defaultLate
	}
	return q
}

// Diagnosis is why a pool refused and what would help. Refusals are those of
// sources that are not suspects, if nothing else is said.
type Diagnosis struct {
	Question Question `json:"question"` // with the defaults filled in
	Threads  int      `json:"threads"`  // of the pool
	// Recorded are all refusals in the record, of suspects too, and Others
	// those of the rest. The replay with nothing changed has Refused, which may be
	// some more or less; of these a change averts a part.
	Recorded uint64 `json:"recorded"`
	Others   uint64 `json:"others"`
	Refused  Spread `json:"refused"`

	Together Averted   `json:"together"` // all suspects banned
	Alone    []Averted `json:"-"`        // the first of them, each alone
	NoWait   Averted   `json:"no_wait"`  // nobody waits for a scanner
	Both     Averted   `json:"both"`     // all suspects banned, and nobody waits
	// More is the pool with as many threads as it needs without the suspects,
	// but with them.
	More Averted `json:"more"`

	Needed   Need    `json:"needed"`   // threads, without the suspects
	Waited   Waits   `json:"waited"`   // for scanners, as recorded; Scanners is 0
	Scanners Waits   `json:"scanners"` // with as many as are needed, without the suspects
	Finding  Finding `json:"finding"`
}

// Diagnose replays the recording under each change and judges. The same
// question gives the same answer, on any number of processors.
func (s *System) Diagnose(q Question) Diagnosis {
	q = q.filled()
	d := Diagnosis{Question: q, Threads: s.threads, Waited: s.waited(q.MaxWait)}
	d.Question.Over = nil
	d.Recorded, d.Others = s.refusals()
	ban := Change{Without: s.suspects}
	changes := []Change{{}, ban, {Waiting: NoWait}, {Without: s.suspects, Waiting: NoWait}}
	for i := range min(max(q.Singles, 0), len(s.groups)) {
		changes = append(changes, Change{Without: s.groups[i]})
	}
	more := len(changes)
	changes = append(changes, Change{}) // with as many threads as are needed
	seeds := s.chances(q.Seeds)
	outs := make([][]Outcome, len(changes))
	for i := range outs {
		outs[i] = make([]Outcome, seeds)
	}
	needed := make([]int64, seeds)
	// One search for threads is begun first: the others are quicker from near its
	// end, which they wait for.
	found := make(chan struct{})
	jobs := []func(*player){
		func(p *player) {
			d.Needed = p.need(ban, q.Target, q.Seed)
			changes[more].Threads = max(int(d.Needed.Threads.Median), s.threads)
			close(found)
		},
		func(p *player) { d.Scanners = p.scannersFor(ban, q) },
	}
	for k := range seeds {
		seed := q.Seed + uint64(k)
		jobs = append(jobs, func(p *player) {
			for i, c := range changes[:more] {
				outs[i][k] = p.play(c, seed, unbounded)
			}
			<-found
			outs[more][k] = p.play(changes[more], seed, unbounded)
			if needed[k] = d.Needed.Threads.Median; k > 0 {
				needed[k] = int64(p.threadsFor(ban, q.Target, seed, int(needed[k])))
			}
		})
	}
	s.each(q.Over, jobs)

	d.Needed.Threads = spreadOf(needed)
	d.Refused = spreadOf(others(outs[0]))
	d.Together = averted(changes[1], outs[0], outs[1])
	d.NoWait = averted(changes[2], outs[0], outs[2])
	d.Both = averted(changes[3], outs[0], outs[3])
	d.More = averted(changes[more], outs[0], outs[more])
	for i := 4; i < more; i++ {
		d.Alone = append(d.Alone, averted(changes[i], outs[0], outs[i]))
	}
	d.Finding = Judge(Grounds{
		Tried: int64(outs[0][0].Tried), Refused: d.Refused, Target: q.Target,
		Ban: d.Together.Averted, NoWait: d.NoWait.Averted, Threads: d.More.Averted,
		Both: d.Both.Averted, Left: d.Both.Left,
	})
	return d
}

// chances is how many seeds can make a difference.
func (s *System) chances(seeds int) int {
	if all, _ := s.refusals(); all == 0 {
		return 1
	}
	return seeds
}

// refusals in the record, of all and of those that are not suspects.
func (s *System) refusals() (all, others uint64) {
	for i := s.first; i < len(s.arrivals); i++ {
		a := &s.arrivals[i]
		if !a.Refused || a.again {
			continue
		}
		all += uint64(a.Count)
		if !s.suspect[a.Source] {
			others += uint64(a.Count)
		}
	}
	return all, others
}

// waited is what connections waited for a scanner.
func (s *System) waited(bound time.Duration) Waits {
	var w Waits
	var sum float64
	for i := s.first; i < len(s.arrivals); i++ {
		a := &s.arrivals[i]
		if a.Refused || a.Scan == 0 && a.Wait == 0 {
			continue
		}
		w.Jobs++
		sum += float64(a.Wait)
		w.Max = max(w.Max, a.Wait)
		if a.Wait > bound {
			w.Over++
		}
	}
	if w.Jobs > 0 {
		w.Mean = time.Duration(sum / float64(w.Jobs))
	}
	return w
}

// scannersFor replays without waiting, and sends the messages of those that
// are served through a queue.
func (p *player) scannersFor(c Change, q Question) Waits {
	jobs := []Job{}
	p.scans = &jobs
	c.Waiting = NoWait
	p.play(c, q.Seed, unbounded)
	p.scans = nil
	if len(jobs) == 0 {
		return Waits{}
	}
	return ScannersFor(jobs, q.MaxWait, q.Late)
}

// Averts is what a change averts, over the seeds of a question.
func (s *System) Averts(c Change, q Question) Averted {
	q = q.filled()
	without, with := make([]Outcome, s.chances(q.Seeds)), make([]Outcome, s.chances(q.Seeds))
	jobs := make([]func(*player), len(with))
	for k := range jobs {
		jobs[k] = func(p *player) {
			without[k] = p.play(Change{}, q.Seed+uint64(k), unbounded)
			with[k] = p.play(c, q.Seed+uint64(k), unbounded)
		}
	}
	s.each(q.Over, jobs)
	return averted(c, without, with)
}
