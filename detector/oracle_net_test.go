package detector

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"overstay/connlog"
)

// ofNets are the figures of each net of each pool: those of all its sources'
// histories together, and how many there are.
func (o *oracle) ofNets(level connlog.Level) map[oracleKey]map[string]float64 {
	groups := make(map[oracleKey][]*history)
	for k, h := range o.hist {
		net := netKey(k, level)
		groups[net] = append(groups[net], h)
	}
	last := make(map[string]float64) // by net, over all pools
	for k, group := range groups {
		at, seen := last[k.addr]
		if !seen {
			at = -1
		}
		last[k.addr] = max(at, lastProof(group))
	}
	out := make(map[oracleKey]map[string]float64)
	for k, group := range groups {
		out[k] = o.ofNet(group)
		o.addPassing(out[k], "net.unproven.", k.pool, 0)
		out[k]["net.proven_age"] = provenAge(lastProof(group), last[k.addr], o.now)
	}
	return out
}

// netKey is the net of a source.
func netKey(k oracleKey, level connlog.Level) oracleKey {
	p := netip.MustParsePrefix(k.addr)
	if net := level.Source(p.Addr()); net.Bits() < p.Bits() {
		return oracleKey{k.pool, net.String()}
	}
	return k
}

func (o *oracle) ofNet(group []*history) map[string]float64 {
	f := make(map[string]float64)
	all := history{marks: make(map[string][]mark)}
	loudest := 0.0
	for _, h := range group {
		all.spans = append(all.spans, h.spans...)
		all.blame = append(all.blame, h.blame...)
		for name, m := range h.marks {
			all.marks[name] = append(all.marks[name], m...)
		}
		own := h.figures(o.now)
		if own["open"] > 0 {
			f["net.members"]++
		}
		if own["unproven.open"] > 0 {
			f["net.unproven.members"]++
		}
		loudest = max(loudest, own["unproven.open"])
	}
	for name, value := range all.figures(o.now) {
		f["net."+name] = value
	}
	f["net.unproven.others"] = f["net.unproven.open"] - loudest
	return f
}

// lastProof is when somebody of the net last proved itself, -1 if never.
func lastProof(group []*history) float64 {
	at := -1.0
	for _, h := range group {
		for _, name := range []string{"proven", "trusted"} {
			for _, m := range h.marks[name] {
				at = max(at, m.at)
			}
		}
	}
	return at
}

// provenAge is exact unless another pool saw the net prove itself in a later
// hour; of that only the hour is known.
func provenAge(here, anywhere, now float64) float64 {
	age := now - here
	if hour := math.Floor(anywhere / 3600); here < 0 || math.Floor(here/3600) < hour {
		age = max(now-(hour+1)*3600, 0)
	}
	if anywhere < 0 || age >= 24*3600 {
		return math.Inf(1)
	}
	return age
}

// compareNets holds the nets' figures, as each source sees them, and the
// ranking of nets to the oracle.
func compareNets(t *testing.T, seed int, d *Detector, o *oracle) {
	t.Helper()
	want := o.ofNets(d.nets.level)
	for k := range o.hist {
		net := netKey(k, d.nets.level)
		for name, got := range d.netFiguresOf(k) {
			if !agree(name, got, want[net][name]) {
				t.Fatalf("seed %d, at %v, %s of %v: %v, the oracle has %v", seed, o.now, name, net, got, want[net][name])
			}
		}
	}
	for _, r := range d.Nets(1000) {
		var load, seconds, blame, members float64
		for _, pool := range []string{"www", "mail"} {
			f := want[oracleKey{pool, r.Source.String()}]
			load += f["net.load1"]
			seconds += f["net.thread_seconds"]
			blame += f["net.blame"]
			members += f["net.members"]
		}
		if !agree("load1", r.Load1, load) || !agree("thread_seconds", r.ThreadSeconds, seconds) ||
			!agree("blame", r.Blame, blame) || float64(r.Members) != members {
			t.Fatalf("seed %d, at %v, %+v: the oracle has a load of %v, %v seconds, a blame of %v and %v members",
				seed, o.now, r, load, seconds, blame, members)
		}
	}
}

// netFiguresOf are the figures of a source's net by name.
func (d *Detector) netFiguresOf(k oracleKey) map[string]float64 {
	out := make(map[string]float64)
	p := d.pools.byName[k.pool]
	if p == nil {
		return out
	}
	p.advance(d.now)
	s := d.table.peek(key{addr: netip.MustParsePrefix(k.addr).Addr().As16(), pool: p.id})
	for _, f := range netFigures() {
		out[f.Name] = f.value(&view{now: d.now, s: s, p: p, d: d})
	}
	return out
}

// TestNetFiguresAreTheOracles wants each figure of a net compared: one that the
// oracle does not know by that name would be compared with 0.
func TestNetFiguresAreTheOracles(t *testing.T) {
	o := newOracle(connlog.AddressLevel)
	l := newLogger(7)
	for i := range 4 {
		id := l.connect(ip(i))
		if i == 0 {
			l.fail(id, connlog.FailLogin)
			l.close(id, connlog.EndClient)
		}
		l.prove(l.connect(ip(i)))
	}
	l.connect(ip(5))
	for i := range l.events {
		o.observe(&l.events[i])
	}
	for k, f := range o.ofNets(connlog.NetLevel) {
		for _, want := range netFigures() {
			if _, ok := f[want.Name]; !ok && !strings.HasPrefix(want.Name, "net.unproven.mean") {
				t.Errorf("the oracle lacks %s of %v", want.Name, k)
			}
		}
	}
}

// agree allows 1e-9; for rates, which have half the precision, 2e-5.
func agree(name string, got, want float64) bool {
	tolerance := 1e-9
	switch name {
	case "opens", "fails", "logins_failed", "refused", "proven", "short", "logins_failed15", "proven15", "blame1", "unproven.rush", "prove_time":
		tolerance = 2e-5
	}
	return got == want || math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}
