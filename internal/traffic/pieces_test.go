package traffic

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"overstay/connlog"
)

func TestAddressesAreDifferentSources(t *testing.T) {
	for first, last := range map[string]string{
		"192.0.2.1":      "192.0.2.100",
		"2001:db8::1":    "2001:db8:0:63::1",
		"2001:db8:0:f::": "2001:db8:0:72::",
	} {
		addrs := Addresses(addr(first), 100)
		seen := map[netip.Prefix]bool{}
		for _, a := range addrs {
			seen[connlog.AddressLevel.Source(a)] = true
		}
		if len(addrs) != 100 || len(seen) != 100 || addrs[0] != addr(first) || addrs[99] != addr(last) {
			t.Errorf("from %s: %d addresses, %d sources, to %v", first, len(addrs), len(seen), addrs[99])
		}
	}
	if n := len(Addresses(addr("255.255.255.254"), 10)); n != 2 {
		t.Errorf("%d addresses at the end of IPv4", n)
	}
	if n := len(Addresses(addr("ffff:ffff:ffff:fffe::"), 10)); n != 2 {
		t.Errorf("%d addresses at the end of IPv6", n)
	}
	if n := len(Addresses(addr("192.0.2.1"), -1)); n != 0 {
		t.Errorf("%d addresses of -1", n)
	}
}

func TestAttackersAreTheLabelledOnes(t *testing.T) {
	groups := []Group{
		Customers(WWW, Addresses(addr("192.0.2.1"), 8)),
		Holders(SMTP, 1, addr("2001:db8::2"), addr("203.0.113.2")),
		Flood(SMTP, 1, addr("203.0.113.1"), addr("2001:db8::1")),
		StalePhone(addr("192.0.2.20")),
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("203.0.113.1/32"), netip.MustParsePrefix("203.0.113.2/32"),
		netip.MustParsePrefix("2001:db8::/64"),
	}
	if got := Attackers(groups); !slices.Equal(got, want) {
		t.Errorf("attackers are %v, want %v", got, want)
	}
}

func TestQueueIsInOrder(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var q queue
	last := task{at: -1}
	var waiting int
	for range 20_000 {
		if waiting == 0 || random.IntN(2) == 0 {
			q.put(task{at: max(last.at, 0) + random.Int64N(20)})
			waiting++
			continue
		}
		next := q.take()
		waiting--
		if next.at < last.at || next.at == last.at && next.order < last.order {
			t.Fatalf("seed %d: %+v after %+v", seed, next, last)
		}
		last = next
	}
	if len(q.tasks) != waiting {
		t.Errorf("seed %d: %d tasks left of %d", seed, len(q.tasks), waiting)
	}
}

func TestHistogramIsWithinASixteenth(t *testing.T) {
	for b := range 959 {
		if got := bucket(upper(b)); got != b {
			t.Fatalf("the upper end of bucket %d is in bucket %d", b, got)
		}
		if got := bucket(upper(b) + 1); got != b+1 {
			t.Fatalf("bucket %d is followed by %d", b, got)
		}
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var h histogram
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(random.ExpFloat64() * float64(5*time.Millisecond))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.99, 1} {
		exact := all[min(int(q*10_000), 9_999)]
		if got := h.quantile(q); got < exact || got > exact+exact/16+1 {
			t.Errorf("seed %d: quantile %v is %v, want %v or a sixteenth more", seed, q, got, exact)
		}
	}
	var none histogram
	if none.quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
}

// Each story must leave the marks in the log that it is named for.
func TestStories(t *testing.T) {
	here := addr("203.0.113.1")
	sum := func(l *ledger, k connlog.Kind) int { return l.kinds[k] }
	for name, story := range map[string]struct {
		group Group
		holds func(l *ledger) bool // ten minutes of it
	}{
		"customers": {Customers(WWW, Addresses(here, 8)), func(l *ledger) bool {
			opens := sum(l, connlog.Open) // 26.7 a second
			return opens > 15_500 && opens < 16_500 && sum(l, connlog.Proven) >= opens-8
		}},
		"office": {Office(SMTP, 10, here), func(l *ledger) bool {
			opens := sum(l, connlog.Open) // 33 a second
			return opens > 19_000 && opens < 21_000 && sum(l, connlog.Proven) >= opens-10
		}},
		"holders": {Holders(WWW, 9, here), func(l *ledger) bool {
			return sum(l, connlog.Open) == 9 && l.ends[connlog.EndShutdown] == 9
		}},
		"flood": {Flood(SMTP, 50, here), func(l *ledger) bool {
			opens := sum(l, connlog.Open)
			return opens > 29_000 && opens < 31_000 && sum(l, connlog.Proven) == 0
		}},
		"guesser": {Guesser(here), func(l *ledger) bool {
			fails := sum(l, connlog.Fail) // four clients, three tries in a second or so
			return fails > 5_000 && fails < 7_300 && sum(l, connlog.Proven) == 0
		}},
		"phone": {StalePhone(here), func(l *ledger) bool {
			fails := sum(l, connlog.Fail)
			return fails >= 8 && fails <= 12 && sum(l, connlog.Proven) == 0
		}},
		"monitor": {Monitor(WWW, here), func(l *ledger) bool {
			opens := sum(l, connlog.Open)
			return opens > 560 && opens < 640 && sum(l, connlog.Proven)+sum(l, connlog.Fail) == 0
		}},
		"bulk": {BulkSender(here), func(l *ledger) bool {
			opens := sum(l, connlog.Open) // three clients, each twelve seconds
			return opens > 100 && opens < 160 && sum(l, connlog.Proven) >= opens-3
		}},
	} {
		s := &Simulation{
			Seed: rand.Uint64(), Length: 10 * time.Minute, Groups: []Group{story.group},
			Services: []Service{{Name: story.group.Service, Threads: 200}},
		}
		if l := play(t, s, nil); !story.holds(l) {
			t.Errorf("%s, seed %d: %v, ended by %v", name, s.Seed, l.kinds, l.ends)
		}
	}
}
