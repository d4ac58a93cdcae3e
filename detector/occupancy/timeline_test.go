package occupancy_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

func timelineOf(events []connlog.Event, o occupancy.TimelineOptions) []occupancy.Bucket {
	t := occupancy.NewTimeline(o)
	for i := range events {
		t.Observe(&events[i])
	}
	return t.Buckets()
}

// TestTimeline compares each bucket with what the visits of a log come to.
func TestTimeline(t *testing.T) {
	shown := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/32"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/34")}
	for seed := range uint64(6) {
		for _, service := range []string{"", "imap"} {
			t.Run(fmt.Sprintf("seed=%d/%s", seed, service), func(t *testing.T) {
				events := newGenerator(seed, seed%4 != 0).log(400)
				s := tell(events, occupancy.Options{Service: service})
				r := foldOf(events, occupancy.Options{Service: service}).Report(occupancy.ByThreadTime, 1)
				for _, o := range []occupancy.TimelineOptions{
					{From: r.From, To: r.To, Buckets: 37}, {From: r.From.Add(7 * time.Minute), To: r.To.Add(-11 * time.Minute), Buckets: 1}, {Buckets: 50}, {},
				} {
					o.Sources, o.Service = shown, service
					buckets := timelineOf(events, o)
					if n := max(o.Buckets, 1); len(buckets) > max(n, 240) || !o.From.IsZero() && len(buckets) != n || o.From.IsZero() && o.Buckets > 0 && len(buckets) <= n/2 {
						t.Errorf("%d buckets of %d", len(buckets), o.Buckets)
					}
					for i := range buckets {
						checkBucket(t, s, &buckets[i], o, i == len(buckets)-1)
					}
				}
			})
		}
	}
}

func checkBucket(t *testing.T, s *story, b *occupancy.Bucket, o occupancy.TimelineOptions, last bool) {
	t.Helper()
	held := make([]float64, len(o.Sources)+1)
	end := b.To
	if final := s.lastTime(); o.From.IsZero() && end.After(final) {
		end = final
	}
	peak, refused := 0, uint64(0)
	inside := func(at time.Time) bool { return !at.Before(b.From) && (at.Before(b.To) || last && at.Equal(b.To)) }
	for _, v := range s.visits {
		lane := 0
		for lane < len(o.Sources) && !o.Sources[lane].Contains(v.addr) {
			lane++
		}
		from, to := v.from, v.to
		if from.Before(b.From) {
			from = b.From
		}
		if to.After(b.To) {
			to = b.To
		}
		held[lane] += max(to.Sub(from).Seconds(), 0) / max(end.Sub(b.From).Seconds(), 1e-6)
	}
	for i := range s.events {
		e := &s.events[i]
		n := s.openAfter(i)
		// It is there from this line to the next one, or to the end of the boot.
		if inside(e.Time) || i+1 < len(s.events) && e.Time.Before(b.From) && s.events[i+1].Time.After(b.From) && s.events[i+1].Boot == e.Boot {
			peak = max(peak, n)
		}
		if e.Kind == connlog.Refuse && s.mine(e) && inside(e.Time) {
			refused += max(e.Count, 1)
		}
	}
	for i := range held {
		if math.Abs(held[i]-b.Held[i]) > 1e-6 {
			t.Errorf("%v to %v: of %d %v held, want %v", b.From, b.To, i, b.Held[i], held[i])
		}
	}
	if b.Peak != peak || b.Refused != refused {
		t.Errorf("%v to %v: peak %d, refused %d, want %d, %d", b.From, b.To, b.Peak, b.Refused, peak, refused)
	}
	if want := threads["smtp"] + threads["mail"]; b.Threads != want && o.Service == "" || o.Service != "" && b.Threads != threads["mail"] {
		t.Errorf("%d threads, want %d", b.Threads, want)
	}
}
