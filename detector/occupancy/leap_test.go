package occupancy_test

import (
	"testing"
	"time"

	"overstay/connlog"
	"overstay/detector/occupancy"
)

// TestClockLeapsAhead holds a thread while the clock is set ahead by an hour, or
// the machine stands still: nobody held it for so long. Where no beat shows that
// the server was at work, or lines are missing, nothing can be said.
func TestClockLeapsAhead(t *testing.T) {
	const hour = time.Hour
	begin := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		beats bool
		lost  uint64
		o     occupancy.Options
		want  time.Duration
	}{
		"leap":     {true, 0, occupancy.Options{}, 30 * time.Second},
		"silence":  {false, 0, occupancy.Options{}, hour + 30*time.Second},
		"lost":     {true, 5, occupancy.Options{}, hour + 30*time.Second},
		"to":       {true, 0, occupancy.Options{To: begin.Add(hour / 2)}, 20 * time.Second},
		"from":     {true, 0, occupancy.Options{From: begin.Add(hour / 2)}, 10 * time.Second},
		"from, to": {true, 0, occupancy.Options{From: begin.Add(hour / 3), To: begin.Add(hour / 2)}, 0},
	} {
		var events []connlog.Event
		at, seq := begin, uint64(0)
		write := func(e connlog.Event) {
			seq++
			e.Time, e.Boot, e.Seq, e.Service = at, "b", seq, "smtp"
			events = append(events, e)
		}
		client := newGenerator(1, false).source()
		write(connlog.Event{Kind: connlog.Start, Schema: 1, Services: services()})
		write(connlog.Event{Kind: connlog.Open, Conn: 1, ClientIP: client})
		for range 4 {
			if at = at.Add(5 * time.Second); c.beats {
				write(connlog.Event{Kind: connlog.Beat, Services: services()})
			}
		}
		at, seq = at.Add(hour), seq+c.lost
		write(connlog.Event{Kind: connlog.Beat, Services: services()})
		at = at.Add(10 * time.Second)
		write(connlog.Event{Kind: connlog.Close, Conn: 1, ClientIP: client, Held: hour + 30*time.Second})
		got := foldOf(events, c.o).Report(occupancy.ByThreadTime, 0)
		if got.ThreadTime != c.want {
			t.Errorf("%s: held for %v, want %v", name, got.ThreadTime, c.want)
		}
		if c.o.To.IsZero() && !got.To.Equal(at) {
			t.Errorf("%s: the log ends at %v, want %v", name, got.To, at)
		}
	}
}
