package traffic

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"overstay/connlog"
)

// simulator is one play of a Simulation.
type simulator struct {
	conf  *Simulation
	yield func(*connlog.Event) bool
	ended bool // the reader has had enough, or doEnd has come

	now   int64 // µs since the beginning
	begin time.Time
	queue queue
	event connlog.Event
	boot  string
	seq   uint64

	pools   []pool
	sources []origin // of service and address together
	clients []client
	slots   []conn
	free    []int32 // slots
	lastID  uint64
	baseID  uint64 // of the present boot: the log counts connections from it
	folds   folds
	known   map[place]int32 // in sources

	boots  uint64
	down   bool
	offset int64 // µs that the clock has been set forward
}

// place is where a source is known.
type place struct {
	pool   int32
	source netip.Prefix
}

// pool is a service's threads.
type pool struct {
	*Service
	busy    int
	refused uint64
	scans   scans
}

// origin is what the server knows about a source at one service.
type origin struct {
	unproven int
	fold     [len(foldReasons)]fold
}

// client is one client of a group.
type client struct {
	random rand.PCG
	group  *Group
	addr   netip.Addr
	pool   int32
	origin int32
	wanted int64 // µs: when the next attempt should begin
	pause  int64 // µs: what was drawn with the present attempt
	hold   int64 // µs: likewise
	scan   int64 // µs: likewise, for one message
	visits int32 // attempts so far
	again  int32 // retries of the present attempt
}

// uniform draws from [0, 1).
func (c *client) uniform() float64 {
	return float64(c.random.Uint64()>>11) / (1 << 53)
}

// draw draws all that is random about an attempt, always in the same order.
func (c *client) draw() {
	c.pause = max(spread(c.group.Every, c.uniform()).Microseconds(), 1)
	// Half of a session is what every session takes, half is luck.
	luck := -math.Log(1 - c.uniform())
	c.hold = int64(float64(c.group.Hold.Microseconds()) * (0.5 + 0.5*luck))
	if c.group.Hold > 0 {
		c.hold = max(c.hold, 1)
	}
}

// drawMore draws what only some groups and services need.
func (s *simulator) drawMore(c *client) {
	if mean := s.pools[c.pool].Scanner.Time; mean > 0 {
		luck := -math.Log(1 - c.uniform())
		c.scan = int64(float64(mean.Microseconds()) * (0.5 + 0.5*luck))
	}
	if c.group.Hop > 0 {
		c.addr = hopped(c.addr, c.group.Hop, c.random.Uint64(), c.random.Uint64())
		c.origin = s.originOf(c.pool, c.addr)
	}
}

func newSimulator(conf *Simulation, yield func(*connlog.Event) bool) *simulator {
	s := &simulator{conf: conf, yield: yield, begin: conf.Begin}
	if s.begin.IsZero() {
		s.begin = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	s.begin = s.begin.UTC().Truncate(time.Microsecond)
	s.known = map[place]int32{}
	s.newBoot()
	for i := range conf.Services {
		s.pools = append(s.pools, pool{Service: &conf.Services[i]})
	}
	s.addClients()
	return s
}

// addClients makes the clients of all groups and plans their first attempts.
func (s *simulator) addClients() {
	for i := range s.conf.Groups {
		g := &s.conf.Groups[i]
		pool := s.poolOf(g.Service)
		for _, addr := range g.Sources {
			addr = addr.Unmap().WithZone("")
			origin := s.originOf(pool, addr)
			for range g.clients() {
				c := client{group: g, addr: addr, pool: pool, origin: origin}
				c.random.Seed(s.conf.Seed, uint64(len(s.clients)))
				s.clients = append(s.clients, c)
			}
		}
	}
	for i := range s.clients {
		c := &s.clients[i]
		first := time.Duration(float64(c.group.Every) * c.uniform())
		s.planAttempt(int32(i), (c.group.From + first).Microseconds())
	}
}

// originOf returns what is known of an address at a pool.
func (s *simulator) originOf(pool int32, addr netip.Addr) int32 {
	k := place{pool: pool, source: connlog.AddressLevel.Source(addr)}
	i, ok := s.known[k]
	if !ok {
		i = int32(len(s.sources))
		s.known[k] = i
		s.sources = append(s.sources, origin{})
	}
	return i
}

func (s *simulator) poolOf(service string) int32 {
	for i := range s.pools {
		if s.pools[i].Name == service {
			return int32(i)
		}
	}
	return -1 // check has seen to it that this cannot be
}

// planAttempt lets a client try at a time, unless its group is done by then.
func (s *simulator) planAttempt(who int32, at int64) {
	c := &s.clients[who]
	g := c.group
	if g.Visits != 0 && int(c.visits) >= g.Visits {
		return
	}
	if g.Until != 0 && at >= g.Until.Microseconds() {
		return
	}
	s.queue.put(task{at: at, what: doAttempt, ref: who})
}

// run plays until the end of the simulation, or of the reader's interest.
func (s *simulator) run() {
	s.start()
	s.queue.put(task{at: beatEvery.Microseconds(), what: doBeat})
	if s.conf.Length > 0 {
		s.queue.put(task{at: s.conf.Length.Microseconds(), what: doEnd})
	}
	if s.conf.Blocked != nil {
		s.queue.put(task{at: s.conf.notice(), what: doPatrol})
	}
	s.planCourse()
	for !s.ended {
		t := s.queue.take()
		s.now = t.at
		s.do(&t)
	}
}

func (s *simulator) do(t *task) {
	switch t.what {
	case doAttempt:
		s.attempt(t.ref)
	case doFold:
		s.unfold()
	case doBeat:
		s.beat()
		s.queue.put(task{at: s.now + beatEvery.Microseconds(), what: doBeat})
	case doPatrol:
		s.patrol()
		s.queue.put(task{at: s.now + s.conf.notice(), what: doPatrol})
	case doEnd:
		s.end()
	case doRetry:
		s.admit(t.ref)
	case doScanned:
		s.scanned(t)
	case doStop:
		s.goDown(&s.conf.Restarts[t.ref])
	case doStart:
		s.comeUp()
	case doStepClock:
		s.offset += s.conf.Steps[t.ref].By.Microseconds()
	case doStep, doTimeout, doLetGo:
		if s.slots[t.ref].id != t.conn {
			return // it was cut in the meantime
		}
		switch t.what {
		case doTimeout:
			s.close(t.ref, connlog.EndTimeout)
		case doLetGo:
			s.close(t.ref, connlog.EndClient)
		default:
			s.step(t.ref)
		}
	}
}

// emit stamps the event and hands it to the reader.
func (s *simulator) emit() {
	if s.ended || s.down {
		return
	}
	s.seq++
	s.event.Seq = s.seq
	s.event.Boot = s.boot
	s.event.Time = s.begin.Add(time.Duration(s.now+s.offset) * time.Microsecond)
	if !s.yield(&s.event) {
		s.ended = true
	}
}

func (s *simulator) start() {
	s.event = connlog.Event{
		Kind: connlog.Start, Schema: connlog.SchemaVersion,
		Version: "simulated", Host: "server.example.org",
	}
	for i := range s.pools {
		s.event.Services = append(s.event.Services, connlog.Service{
			Service: s.pools[i].Name, Threads: s.pools[i].Threads,
			Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(8000+i)).String(),
		})
	}
	s.emit()
}

func (s *simulator) beat() {
	s.event = connlog.Event{Kind: connlog.Beat}
	for i := range s.pools {
		p := &s.pools[i]
		s.event.Services = append(s.event.Services, connlog.Service{
			Service: p.Name, Threads: p.Threads, Busy: p.busy, Refused: p.refused,
		})
	}
	s.emit()
}

// end writes what a server writes that stops in order, unless it crashes.
func (s *simulator) end() {
	if !s.conf.Crash {
		s.stop()
	}
	s.ended = true
}

// stop writes the last lines of a server that stops in order.
func (s *simulator) stop() {
	s.unfold()
	s.closeAll(connlog.EndShutdown, func(*client) bool { return true })
	s.event = connlog.Event{Kind: connlog.Stop, Reason: "shutdown"}
	s.emit()
}

// patrol cuts the connections of sources that are blocked by now.
func (s *simulator) patrol() {
	s.closeAll(connlog.EndBanned, func(c *client) bool {
		return s.conf.Blocked(c.addr, c.group.Service)
	})
}
