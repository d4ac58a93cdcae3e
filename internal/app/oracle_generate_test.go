package app_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"overstay/connlog"
)

// troubled is a server with two pools, of which one is shared, that has everything
// happen to it that makes its log hard to add up: crashes, rotation, loss, lines
// that come twice or are none, and a clock that stands still.
type troubled struct {
	rng  *rand.Rand
	now  time.Time
	boot string
	seq  uint64
	conn uint64
	open []connlog.Event // as they were opened
	text [][]byte
	last []byte // the line before, if there is one of this boot
}

var housePools = map[string]struct {
	pool    string
	threads int
}{"smtp": {"smtp", 5}, "imap": {"mailbox", 4}, "pop3": {"mailbox", 4}}

// houseLog returns so many lines, and where its files begin, if it is kept in
// some: wherever it may be cut.
func houseLog(seed uint64, lines int) [][]byte {
	h := &troubled{rng: rand.New(rand.NewPCG(seed, 11)), now: time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)}
	h.start()
	for len(h.text) < lines {
		h.step()
	}
	return h.text
}

func (h *troubled) write(e connlog.Event) {
	h.seq++
	e.Time, e.Boot, e.Seq = h.now, h.boot, h.seq
	h.last = append(connlog.Append(nil, &e), '\n')
	h.text = append(h.text, h.last)
}

func (h *troubled) services() (all []connlog.Service) {
	for _, name := range []string{"smtp", "imap", "pop3"} {
		s := connlog.Service{Service: name, Threads: housePools[name].threads}
		if p := housePools[name].pool; p != name {
			s.Pool = p
		}
		all = append(all, s)
	}
	return all
}

func (h *troubled) start() {
	h.boot, h.seq, h.conn, h.open = fmt.Sprintf("boot%d", h.rng.Uint32()), 0, 0, nil
	h.write(connlog.Event{Kind: connlog.Start, Schema: 1, Services: h.services()})
}

func (h *troubled) held(pool string) (n int) {
	for i := range h.open {
		if housePools[h.open[i].Service].pool == pool {
			n++
		}
	}
	return n
}

// client is of a few nets, so that all sums have more than one part. No group
// of an IPv6 net is zero, which keeps their text simple enough for SQL.
func (h *troubled) client() netip.Addr {
	if n := h.rng.IntN(4); n == 0 {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", 1+h.rng.IntN(2), 1+h.rng.IntN(3), 1+h.rng.IntN(3)))
	}
	return netip.AddrFrom4([4]byte{198, 51, 100 + byte(h.rng.IntN(2)), byte(h.rng.IntN(5))})
}

// pass lets time pass, or not.
func (h *troubled) pass() {
	switch n := h.rng.IntN(50); {
	case n == 0:
		h.quiet(h.rng.IntN(200))
	case n == 1:
		h.quiet(60)
	case n > 12:
		h.now = h.now.Add(time.Duration(h.rng.ExpFloat64()*3e6) * time.Microsecond)
	}
}

// quiet lets seconds pass in which nobody comes: the server beats.
func (h *troubled) quiet(seconds int) {
	for ; seconds > 0; seconds -= 5 {
		h.now = h.now.Add(time.Duration(min(seconds, 5)) * time.Second)
		h.write(connlog.Event{Kind: connlog.Beat, Services: h.services()})
	}
}

func (h *troubled) step() {
	h.pass()
	if h.rng.IntN(45) == 0 {
		h.mishap()
		return
	}
	service := []string{"smtp", "smtp", "imap", "pop3"}[h.rng.IntN(4)]
	p := housePools[service]
	busy := h.held(p.pool)
	switch n := h.rng.IntN(100); {
	case n == 0:
		h.write(connlog.Event{Kind: connlog.Beat, Services: h.services()})
	case n < 48 && busy < p.threads:
		h.conn++
		e := connlog.Event{Kind: connlog.Open, Service: service, Conn: h.conn, ClientIP: h.client(), Busy: busy + 1, Threads: p.threads}
		h.write(e)
		e.Time = h.now
		h.open = append(h.open, e)
	case n < 48:
		h.refuse(service)
	case n < 50: // of no connection
		h.happen(&connlog.Event{Service: service, ClientIP: h.client()})
	case len(h.open) == 0:
	case n < 64:
		h.happen(&h.open[h.rng.IntN(len(h.open))])
	default:
		h.close(h.rng.IntN(len(h.open)))
	}
}

func (h *troubled) refuse(service string) {
	p := housePools[service]
	reasons := []connlog.Reason{connlog.RefuseBusy, connlog.RefuseBusy, connlog.RefuseSessions, connlog.RefuseBanned}
	h.write(connlog.Event{
		Kind: connlog.Refuse, Service: service, ClientIP: h.client(), Reason: reasons[h.rng.IntN(len(reasons))],
		Busy: h.held(p.pool), Threads: p.threads, Count: uint64(h.rng.IntN(4)),
	})
}

// happen proves a connection, once, or has it fail.
func (h *troubled) happen(of *connlog.Event) {
	e := connlog.Event{Service: of.Service, Conn: of.Conn, ClientIP: of.ClientIP}
	if !of.Proven && h.rng.IntN(2) == 0 {
		of.Proven, e.Kind, e.By = true, connlog.Proven, connlog.ByLogin
	} else {
		e.Kind, e.What, e.User = connlog.Fail, connlog.FailLogin, "a\"\n{198.51.100.1}"
	}
	h.write(e)
}

func (h *troubled) close(i int) {
	c := h.open[i]
	h.open = slices.Delete(h.open, i, i+1)
	h.write(connlog.Event{
		Kind: connlog.Close, Service: c.Service, Conn: c.Conn, ClientIP: c.ClientIP,
		Held: h.now.Sub(c.Time).Truncate(time.Microsecond), End: connlog.EndClient, Proven: c.Proven,
	})
}

func (h *troubled) mishap() {
	switch h.rng.IntN(7) {
	case 0: // a crash
		h.start()
	case 1: // an end in order
		for len(h.open) > 0 {
			h.close(0)
		}
		h.write(connlog.Event{Kind: connlog.Stop, Reason: "shutdown"})
		h.start()
	case 2:
		h.head()
	case 3:
		h.lose()
	case 4: // ends of which nothing else is known, and of which the length is
		e := connlog.Event{Kind: connlog.Close, Service: "smtp", Conn: 1<<40 + h.seq, ClientIP: h.client(), End: connlog.EndReset}
		if h.rng.IntN(2) == 0 {
			e.Held, e.Proven = time.Duration(1+h.rng.IntN(90_000_000))*time.Microsecond, h.rng.IntN(2) == 0
		}
		h.write(e)
	case 5: // what is no line
		h.text = append(h.text, bytes.Clone([]byte("{\"time\":\"2026-11-2\x00\xff\n")))
	case 6: // a line that comes twice
		h.text = append(h.text, h.last)
	}
}

// head is the beginning of a file that goes on: it names what is open.
func (h *troubled) head() {
	h.write(connlog.Event{Kind: connlog.Start, Schema: 1, Continued: true, Services: h.services()})
	for _, e := range h.open {
		e.Held = max(h.now.Sub(e.Time).Truncate(time.Microsecond), time.Microsecond)
		e.Busy = h.held(housePools[e.Service].pool)
		h.write(e)
	}
	h.write(connlog.Event{Kind: connlog.Beat, Services: h.services()})
}

// lose drops a few lines, and tells of it as a server does.
func (h *troubled) lose() {
	kept := len(h.text)
	boot := h.boot
	for range 1 + h.rng.IntN(8) {
		service := []string{"smtp", "imap"}[h.rng.IntN(2)]
		p := housePools[service]
		h.pass()
		if busy := h.held(p.pool); busy < p.threads && h.rng.IntN(2) == 0 {
			h.conn++
			e := connlog.Event{Kind: connlog.Open, Service: service, Conn: h.conn, ClientIP: h.client(), Busy: busy + 1, Threads: p.threads}
			h.write(e)
			e.Time = h.now
			h.open = append(h.open, e)
		} else if len(h.open) > 0 {
			if i := h.rng.IntN(len(h.open)); h.rng.IntN(2) == 0 {
				h.close(i)
			} else {
				h.happen(&h.open[i])
			}
		}
	}
	lost := len(h.text) - kept
	if boot != h.boot || lost == 0 {
		return
	}
	h.text = h.text[:kept]
	h.write(connlog.Event{Kind: connlog.Lost, Count: uint64(lost)})
	h.head()
}
