package detector

import (
	"testing"
	"time"

	"overstay/connlog"
)

// TestBanForOneServiceLeavesTheOthers to be judged.
func TestBanForOneServiceLeavesTheOthers(t *testing.T) {
	three := func(name string, services ...string) Policy {
		return Policy{Name: name, When: "open >= 3", Action: Ban, Duration: 24 * time.Hour, Services: services}
	}
	web, mail := three("web", "www"), three("mail", "smtp")
	web.Pools, mail.Pools = []string{"www"}, []string{"mail"}
	earlier := []Past{{ID: "x", Source: connlog.AddressLevel.Source(addr("203.0.113.1")), Services: []string{"www"},
		At: epoch.Add(-time.Hour), Until: epoch.Add(time.Hour)}}
	for _, c := range []struct {
		earlier []Past
		all     bool // the first ban is for all services
		want    int
	}{{nil, false, 2}, {nil, true, 1}, {earlier, false, 1}} {
		web := web
		if c.all {
			web.Services = nil
		}
		w := watch1(t, Options{Policies: []Policy{web, mail}, Earlier: c.earlier})
		w.threads = 100
		w.sit("203.0.113.1", 5)
		w.idle(10 * time.Second)
		w.service = "smtp"
		w.sit("203.0.113.1", 5)
		w.idle(time.Minute)
		if len(w.decided) != c.want || w.decided[c.want-1].Policy == "web" && c.want == 2 {
			t.Errorf("earlier %v, for all %v: %d decisions, want %d", c.earlier != nil, c.all, len(w.decided), c.want)
		}
	}
}

// TestAvertsInALargePool has a thousand holders of a thread each, of whom each
// causes next to nothing.
func TestAvertsInALargePool(t *testing.T) {
	p := three()
	p.When, p.Averts = "unproven.open >= 1 && unproven.mean_age >= 60", true
	w := watch1(t, Options{Policies: []Policy{p}, BansPerMinute: 2000})
	w.threads = 1000
	for i := range w.threads {
		w.connect(neighbour(i))
	}
	for range 30 {
		w.wait(10 * time.Second)
		w.refuse(ip(1), connlog.RefuseBusy)
	}
	if len(w.decided) != w.threads {
		t.Errorf("%d decisions about %d holders", len(w.decided), w.threads)
	}
}

// TestProofInAnotherPool later in the same hour is the last one of the net.
func TestProofInAnotherPool(t *testing.T) {
	w := watchNets(t, full())
	w.idle(time.Minute)
	w.prove(w.sit("203.0.113.1", 1)[0])
	w.close(1, connlog.EndClient)
	w.idle(50 * time.Minute)
	w.service = "smtp"
	id := w.sit("203.0.113.2", 1)[0]
	w.prove(id)
	w.close(id, connlog.EndClient)
	w.service = "www"
	w.idle(23*time.Hour + 30*time.Minute)
	w.sit("203.0.113.10", 3)
	w.sit("203.0.113.20", 3)
	w.idle(time.Minute)
	w.about(t)
}

// TestOverlappingBansAreNoReturn though the second of a net is made while the
// first of a part of it stands.
func TestOverlappingBansAreNoReturn(t *testing.T) {
	r := &record{}
	r.remember(past{id: "a", at: 0, until: 600 * micros})
	r.remember(past{id: "b", at: 60 * micros, until: 900 * micros})
	r.remember(past{id: "c", at: 1000 * micros, until: 1100 * micros})
	if h := r.history(2000 * micros); h.bans != 3 || h.returns != 1 {
		t.Errorf("%+v", h)
	}
}
