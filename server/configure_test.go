package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"overstay/connlog"
)

// politely is the test protocol with other words.
type politely struct{ lines }

func (*politely) Refusal(connlog.Reason) []byte { return []byte("sorry\n") }

func (r *running) configure(t *testing.T, services ...Service) {
	t.Helper()
	if restart, err := r.Configure(services); err != nil || len(restart) > 0 {
		t.Fatalf("left for a restart: %q, error %v", restart, err)
	}
}

func TestConfigureTheLimitsOfAPool(t *testing.T) {
	s := testService(1)
	r := run(t, Options{Services: []Service{s}})
	r.dial(t, "127.0.0.1").expect(t, "hi")
	r.dial(t, "127.0.0.2").expect(t, "no: busy")

	s.Threads, s.SessionsPerSource, s.Protocol = 3, 1, &politely{}
	r.configure(t, s)
	r.dial(t, "127.0.0.1").expect(t, "sorry")
	b := r.dial(t, "127.0.0.2")
	b.expect(t, "hi")
	if e := r.log.of(connlog.Open)[1]; e.Threads != 3 {
		t.Errorf("open line: %+v", e)
	}
	beats := r.log.of(connlog.Beat)
	if len(beats) != 1 || beats[0].Services[0].Threads != 3 || beats[0].Services[0].Busy != 1 {
		t.Errorf("beat lines: %+v", beats)
	}
	if got := r.Status().Services[0].Threads; got != 3 {
		t.Errorf("the status says %d threads", got)
	}

	s.Threads, s.SessionsPerSource, s.SessionsPerNet, s.Protocol = 10, 0, 2, nil
	r.configure(t, s)
	r.dial(t, "127.0.0.3").expect(t, "sorry") // Words stay where there are no new ones.

	// Those who hold a thread may finish when there are fewer.
	s.Threads, s.SessionsPerNet, s.UnprovenPerSource = 1, 0, 0
	r.configure(t, s)
	r.dial(t, "127.0.0.3").expect(t, "sorry")
	if got := b.say("login"); got != "ok" {
		t.Fatal(got)
	}
	b.say("quit")
	eventually(t, "its thread to be free", func() bool { return r.busy() == 1 })
	r.dial(t, "127.0.0.3").expect(t, "sorry")
}

// A client that is waited for already keeps to the new limits.
func TestConfigureTheLimitsOfTime(t *testing.T) {
	s := testService(10)
	simulate(t, s, Options{}, func(t *testing.T, r *running, p *pipes) {
		c := p.enter(t, "192.0.2.1")
		time.Sleep(time.Minute)
		s.Listener, s.Limits = nil, Limits{Idle: 2 * time.Minute}
		r.configure(t, s)
		start := time.Now()
		_ = held(c)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("held for another %v", got)
		}
		_ = c.Close()
		synctest.Wait()
	})
}

func TestConfigureWhatComesFirst(t *testing.T) {
	s := testService(10)
	r := run(t, Options{Services: []Service{s}})
	r.dial(t, "127.0.0.1").expect(t, "hi")

	server, config := testTLS(t)
	s.TLS = server
	r.configure(t, s)
	secure(r.dial(t, "127.0.0.1"), config).expect(t, "hi")

	s.TLS, s.ProxyFrom = nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r.configure(t, s)
	r.forward(t, "127.0.0.1", header(t, 2, "203.0.113.9:80", 0)).expect(t, "hi")

	s.ProxyFrom, s.GreetDelay = nil, 10*time.Millisecond
	r.configure(t, s)
	c := r.dial(t, "127.0.0.1")
	if _, err := io.WriteString(c, "early\n"); err != nil {
		t.Fatal(err)
	}
	c.expect(t, "hi")
	if n := len(r.log.of(connlog.Fail)); n != 1 {
		t.Errorf("%d fail lines", n)
	}
}

func TestConfigureSaysWhatNeedsARestart(t *testing.T) {
	a, b := testService(2), testService(3)
	b.Name = "other"
	r := run(t, Options{Services: []Service{a, b}})
	a.Listen, a.Pool, a.Threads = "127.0.0.1:1", "both", 9
	c := testService(5)
	c.Name = "third"
	got, err := r.Configure([]Service{a, c})
	want := []string{
		`service "test" listens on "127.0.0.1:0", not "127.0.0.1:1"`,
		`service "test" takes its threads from pool "test", not "both"`,
		`service "third" is new`,
		`service "other" is gone`,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if st := r.Status().Services; st[0].Threads != 2 || st[1].Threads != 3 {
		t.Errorf("status: %+v", st)
	}
	// What can be done is done: the old pool may be of another size.
	a.Pool, a.Threads = "", 4
	if _, err := r.Configure([]Service{a}); err != nil || r.Status().Services[0].Threads != 4 {
		t.Errorf("%+v, %v", r.Status().Services[0], err)
	}
}

func TestConfigureChangesNothingOnAnError(t *testing.T) {
	a, b := testService(1), testService(1)
	b.Name = "other"
	r := run(t, Options{Services: []Service{a, b}})
	r.dial(t, "127.0.0.1").expect(t, "hi")
	a.Threads = 10
	for name, spoil := range map[string]func(*Service){
		"no name":   func(s *Service) { s.Name = "" },
		"twice":     func(s *Service) { s.Name = "test" },
		"negative":  func(s *Service) { s.Threads = -1 },
		"a pool":    func(s *Service) { s.Pool, s.Threads = "test", 3 },
		"TLS":       func(s *Service) { s.TLS = &tls.Config{} },
		"proxies":   func(s *Service) { s.ProxyFrom = []netip.Prefix{{}} },
		"many wide": func(s *Service) { s.ProxyFrom = []netip.Prefix{netip.PrefixFrom(netip.IPv6Loopback(), 129)} },
	} {
		spoilt := b
		spoil(&spoilt)
		var wrong *ServiceError
		if _, err := r.Configure([]Service{a, spoilt}); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Configure(nil); !errors.Is(err, ErrNoService) {
		t.Errorf("nothing: %v", err)
	}
	r.dial(t, "127.0.0.2").expect(t, "no: busy")
	r.cancel()
	<-r.done
	if _, err := r.Configure([]Service{a, b}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// A shared pool has the size that its services say, whichever of them says it.
func TestConfigureASharedPool(t *testing.T) {
	a, b := testService(2), testService(0)
	a.Pool, b.Pool, b.Name = "both", "both", "other"
	r := run(t, Options{Services: []Service{a, b}})
	a.Threads, b.Threads = 0, 7
	r.configure(t, a, b)
	for _, st := range r.Status().Services {
		if st.Threads != 7 {
			t.Errorf("status: %+v", st)
		}
	}
}
