package traffic

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// run plays groups against servers for a time, and checks what holds for
// every report.
func run(t *testing.T, l *Live) *Report {
	t.Helper()
	r, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Groups) != len(l.Groups) {
		t.Fatalf("%d reports of %d groups", len(r.Groups), len(l.Groups))
	}
	for _, g := range r.Groups {
		sum := g.Total()
		if sum.Attempts != sum.Ended()+g.Unfinished || g.Unfinished < 0 {
			t.Errorf("%s: %d attempts, %d ended, %d unfinished", g.Name, sum.Attempts, sum.Ended(), g.Unfinished)
		}
		if len(g.Seconds) != l.seconds() {
			t.Errorf("%s: %d seconds of %d", g.Name, len(g.Seconds), l.seconds())
		}
		if g.P50 > g.P99 || g.P99 > g.Max {
			t.Errorf("%s: quantiles %v, %v, %v", g.Name, g.P50, g.P99, g.Max)
		}
	}
	return r
}

// only fails the test unless all attempts of the group ended this way, and
// there were enough.
func only(t *testing.T, r *Report, name string, o Outcome, least int) {
	t.Helper()
	sum := r.Group(name).Total()
	if n := sum.Outcomes[o]; n < least || n != sum.Ended() {
		t.Errorf("%s: want %d or more of outcome %d only, got %v", name, least, o, sum.Outcomes)
	}
}

func both(www, smtp *boundedServer) Target {
	return Target{
		WWW: []netip.AddrPort{www.addr}, SMTP: []netip.AddrPort{smtp.addr},
		Path: "/file", Recipient: "anna@example.org",
	}
}

func TestOrdinaryClientsSucceed(t *testing.T) {
	t.Parallel()
	www := serve(t, "127.0.0.1", &boundedServer{threads: 50})
	mail := serve(t, "127.0.0.1", &boundedServer{threads: 50, smtp: true})
	web, post := Customers(WWW, Addresses(addr("127.0.1.1"), 4)), Customers(SMTP, Addresses(addr("127.0.2.1"), 4))
	web.Name, post.Name = "web", "post"
	calls := 0
	r := run(t, &Live{
		Length: 2 * time.Second, Target: both(www, mail),
		Groups: []Group{web, post, Office(WWW, 20, addr("127.0.3.1")), Monitor(SMTP, addr("127.0.4.1")), Monitor(WWW, addr("127.0.4.2"))},
		Progress: func(second int, groups []Second) {
			if second != calls || len(groups) != 5 || groups[2].Outcomes[Done] == 0 {
				t.Errorf("progress of second %d: %v", second, groups)
			}
			calls++
		},
	})
	only(t, r, "web", Done, 12)
	only(t, r, "post", Done, 12)
	only(t, r, "office", Done, 60)
	only(t, r, "monitor", Done, 1)
	if g := r.Group("web"); g.P50 <= 0 || g.Success(0, 2) != 1 {
		t.Errorf("median of %v, success %v", g.P50, g.Success(0, 2))
	}
	if calls != 2 {
		t.Errorf("%d calls of progress in two seconds", calls)
	}
	for _, g := range []struct {
		server *boundedServer
		from   string
	}{{www, "127.0.1.4"}, {mail, "127.0.2.1"}, {www, "127.0.3.1"}, {mail, "127.0.4.1"}, {www, "127.0.4.2"}} {
		if g.server.books().sources[addr(g.from)] == 0 {
			t.Errorf("nobody came from %s", g.from)
		}
	}
	if n := r.Group("post").Total().Outcomes[Done]; mail.books().messages < n {
		t.Errorf("%d messages of %d delivered", mail.books().messages, n)
	}
}

func TestHoldersTakeThreadsAndComeBack(t *testing.T) {
	for _, service := range []string{WWW, SMTP} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1", &boundedServer{threads: 5, smtp: service == SMTP})
			holders := Holders(service, 8, addr("127.0.6.1"))
			holders.Drip, holders.Every = 100*time.Millisecond, 300*time.Millisecond
			customers := Customers(service, Addresses(addr("127.0.5.1"), 8))
			customers.From = time.Second
			cut := 0
			r := run(t, &Live{
				Length: 4 * time.Second, Target: both(s, s), Groups: []Group{holders, customers},
				Progress: func(second int, _ []Second) {
					if second == 1 {
						cut = s.cut()
					}
				},
			})
			h := r.Group("holders")
			if held := h.Seconds[1].Held; held != 5 || cut != 5 {
				t.Errorf("%d held of 5 threads, %d cut", held, cut)
			}
			if held := h.Seconds[3].Held; held != 5 || h.Total().Held != held {
				t.Errorf("%d held two seconds after the cut", held)
			}
			sum := h.Total()
			if sum.Outcomes[Cut] != 5 || sum.Outcomes[Busy] == 0 || sum.Ended() != 5+sum.Outcomes[Busy] {
				t.Errorf("holders: %v", sum.Outcomes)
			}
			before := r.Group("customers").Between(0, 2)
			if before.Outcomes[Busy] < 10 || before.Outcomes[Busy] != before.Ended() {
				t.Errorf("customers before the cut: %v", before.Outcomes)
			}
			if got := r.Group("customers").Total().Outcomes[Done]; got == 0 {
				t.Error("no customer was served after the cut")
			}
			if most := s.books().mostBusy; most != 5 {
				t.Errorf("%d threads held at once", most)
			}
		})
	}
}

func TestRefusalsAreToldApart(t *testing.T) {
	words := []Outcome{Busy, Sessions, Banned, Failed, Cut}
	for _, service := range []string{WWW, SMTP} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1", &boundedServer{
				threads: 50, smtp: service == SMTP,
				refuse: func(a netip.Addr) Outcome { return words[a.As4()[2]-10] },
			})
			l := &Live{Length: 2 * time.Second, Target: both(s, s)}
			for i := range words {
				from := netip.AddrFrom4([4]byte{127, 0, byte(10 + i), 1})
				c, h := Customers(service, []netip.Addr{from}), Holders(service, 2, from)
				c.Name, h.Name = "customers"+string(rune('0'+i)), "holders"+string(rune('0'+i))
				l.Groups = append(l.Groups, c, h)
			}
			r := run(t, l)
			for i, o := range words {
				refused, held := o, o
				switch {
				case o == Cut: // closed without a word
					refused, held = Failed, Failed
				case o == Failed && service == WWW:
					held = Cut // an answer that is no refusal
				}
				only(t, r, "customers"+string(rune('0'+i)), refused, 2)
				only(t, r, "holders"+string(rune('0'+i)), held, 2)
			}
		})
	}
}

func TestGuessersAreDenied(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", &boundedServer{threads: 50, smtp: true})
	r := run(t, &Live{
		Length: 2 * time.Second, Target: both(s, s),
		Groups: []Group{Guesser(addr("127.0.7.1")), StalePhone(addr("127.0.7.2"))},
	})
	only(t, r, "guesser", Denied, 4)
	if n := r.Group("guesser").Total().Outcomes[Denied]; len(s.books().users) < 3*n {
		t.Errorf("%d sessions with %d different guesses", n, len(s.books().users))
	}
}

func TestFloodAndBulk(t *testing.T) {
	t.Parallel()
	www := serve(t, "127.0.0.1", &boundedServer{threads: 50})
	mail := serve(t, "127.0.0.1", &boundedServer{threads: 50, smtp: true})
	bulk := BulkSender(addr("127.0.8.2"))
	bulk.Tries, bulk.Hold, bulk.Every = 10, 500*time.Millisecond, time.Second
	r := run(t, &Live{
		Length: 2 * time.Second, Target: both(www, mail),
		Groups: []Group{Flood(WWW, 200, addr("127.0.8.1")), bulk},
	})
	only(t, r, "flood", Done, 200)
	only(t, r, "bulk", Done, 2)
	sessions := r.Group("bulk").Total().Outcomes[Done]
	if seen := mail.books(); seen.messages < 10*sessions || seen.sessions > sessions+3 {
		t.Errorf("%d messages in %d sessions, %d of them done", seen.messages, seen.sessions, sessions)
	}
}

func TestSilentServerIsATimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", &boundedServer{threads: 500, silent: true})
	web, mail := Customers(WWW, []netip.Addr{addr("127.0.9.1")}), Customers(SMTP, []netip.Addr{addr("127.0.9.2")})
	web.Name, mail.Name = "web", "mail"
	r := run(t, &Live{
		Length: 2 * time.Second, Timeout: 200 * time.Millisecond, Target: both(s, s), Groups: []Group{web, mail},
	})
	only(t, r, "web", Timeout, 2)
	only(t, r, "mail", Timeout, 2)
}

func TestNoServerIsAFailure(t *testing.T) {
	t.Parallel()
	// Port 1 of an address that nothing listens on.
	nowhere := []netip.AddrPort{netip.MustParseAddrPort("127.0.99.99:1")}
	r := run(t, &Live{
		Length: time.Second, Target: Target{WWW: nowhere},
		Groups: []Group{Customers(WWW, Addresses(addr("127.0.9.9"), 4))},
	})
	only(t, r, "customers", Failed, 4)
}

func TestHoldersLetGo(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", &boundedServer{threads: 50})
	brief, until := Holders(WWW, 3, addr("127.0.11.1")), Holders(WWW, 3, addr("127.0.11.2"))
	brief.Name, brief.Hold = "brief", 400*time.Millisecond
	until.Name, until.Until, until.Every = "until", 800*time.Millisecond, 300*time.Millisecond
	brief.Every = until.Every
	r := run(t, &Live{Length: 2 * time.Second, Target: both(s, s), Groups: []Group{brief, until}})
	only(t, r, "brief", Released, 3)
	only(t, r, "until", Released, 3)
	if g := r.Group("until"); g.Seconds[1].Held != 0 || g.Seconds[1].Attempts != 0 || g.Unfinished != 0 {
		t.Errorf("after its time: %+v, %d unfinished", g.Seconds[1], g.Unfinished)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	v6 := serve(t, "::1", &boundedServer{threads: 50})
	v4 := serve(t, "127.0.0.1", &boundedServer{threads: 50})
	target := Target{WWW: []netip.AddrPort{v4.addr, v6.addr}, Path: "/file"}
	r := run(t, &Live{
		Length: time.Second, Target: target,
		Groups: []Group{Office(WWW, 10, addr("::1"))},
	})
	only(t, r, "office", Done, 10)
	if v6.books().sources[addr("::1")] == 0 || len(v4.books().sources) != 0 {
		t.Errorf("IPv6 clients came as %v, and to IPv4 as %v", v6.books().sources, v4.books().sources)
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", &boundedServer{threads: 50})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := &Live{
		Length: maxLength, Target: both(s, s),
		Groups:   []Group{Holders(WWW, 10, addr("127.0.12.1")), Customers(WWW, Addresses(addr("127.0.12.2"), 3))},
		Progress: func(int, []Second) { cancel() },
	}
	r, err := l.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.Length >= maxLength || r.Group("holders").Unfinished == 0 || r.Group("customers").Total().Outcomes[Done] == 0 {
		t.Errorf("after %v: %+v", r.Length, r.Groups)
	}
	if r.Group("nobody") != nil {
		t.Error("a report of nobody")
	}
}

func TestRunsThatAreRefused(t *testing.T) {
	t.Parallel()
	home := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	local := []netip.Addr{addr("127.0.0.1")}
	crowd := Office(WWW, maxClients, local[0])
	crowd.Every = time.Hour
	for name, c := range map[string]struct {
		live Live
		want error
	}{
		"target elsewhere": {Live{Target: Target{WWW: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80")}}}, ErrNotLoopback},
		"smtp elsewhere":   {Live{Target: Target{SMTP: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:25")}}}, ErrNotLoopback},
		"any address":      {Live{Target: Target{WWW: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:80")}}}, ErrNotLoopback},
		"no address":       {Live{Target: Target{WWW: make([]netip.AddrPort, 1)}}, ErrNotLoopback},
		"source elsewhere": {Live{Groups: []Group{Customers(WWW, []netip.Addr{addr("192.0.2.1")})}}, ErrNotLoopback},
		"other family":     {Live{Groups: []Group{Customers(WWW, []netip.Addr{addr("::1")})}}, ErrGroup},
		"no such target":   {Live{Groups: []Group{Customers(SMTP, local)}}, ErrGroup},
		"no such service":  {Live{Groups: []Group{Customers("pop3", local)}}, ErrGroup},
		"only simulated":   {Live{Groups: []Group{{Kind: Idling, Service: WWW, Sources: local, Every: time.Second}}}, ErrGroup},
		"bad group":        {Live{Groups: []Group{{Service: WWW, Sources: local}}}, ErrGroup},
		"too long":         {Live{Length: maxLength + 1}, ErrBounds},
		"negative":         {Live{Length: -1}, ErrBounds},
		"too many":         {Live{Groups: []Group{crowd, Customers(WWW, local)}}, ErrBounds},
		"too fast":         {Live{Groups: []Group{Flood(WWW, maxPerSecond+1, local[0])}}, ErrBounds},
	} {
		if c.live.Target.WWW == nil && c.live.Target.SMTP == nil {
			c.live.Target.WWW = home
		}
		if _, err := c.live.Run(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
