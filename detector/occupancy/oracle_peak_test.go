package occupancy_test

import (
	"math"
	"time"

	"overstay/detector/occupancy"
)

// peak counts who was there after each line; or, where the clock is coarse, at
// most and at least in each of its granules.
func (s *story) peak(own []*visit) (r occupancy.Range) {
	late := 0
	for _, v := range own {
		if _, _, ok := s.clip(v); v.late && ok {
			late++
		}
	}
	if s.o.Clock > time.Microsecond {
		r = s.coarsePeak(own)
		r.High += late
		return r
	}
	for i := range s.events {
		n := 0
		for _, v := range own {
			if v.begins <= i && i < v.ends && !v.late {
				n++
			}
		}
		inside := s.within(s.events[i].Time)
		// What was there when the window began.
		atBegin := !s.o.From.IsZero() && s.events[i].Time.Before(s.o.From) && i+1 < len(s.events) && !s.events[i+1].Time.Before(s.o.From)
		if inside || atBegin {
			r.Low = max(r.Low, n)
		}
	}
	r.High = r.Low + late
	return r
}

func (s *story) coarsePeak(own []*visit) (r occupancy.Range) {
	granules := map[time.Time]bool{}
	for i := range s.events {
		granules[s.events[i].Time.Truncate(s.o.Clock)] = true
	}
	for g := range granules {
		start, gone, came, brief := 0, 0, 0, 0
		for _, v := range own {
			if v.late {
				continue
			}
			began := s.told(v).Truncate(s.o.Clock)
			ended := v.to.Truncate(s.o.Clock)
			over := v.ends < len(s.events)
			switch {
			case began.Before(g) && (!over || ended.After(g)):
				start++
			case began.Before(g) && ended.Equal(g):
				start++
				gone++
			case began.Equal(g) && over && ended.Equal(g):
				brief++
			case began.Equal(g):
				came++
			}
		}
		r.High = max(r.High, start+came+brief)
		r.Low = max(r.Low, start, start-gone+came)
		if brief > 0 {
			r.Low = max(r.Low, start-gone+1)
		}
	}
	return r
}

// load works out the average at every moment at which something changed.
func (s *story) load(own []*visit) (most float64) {
	at := func(t time.Time, line int) {
		sum := 0.0
		for _, v := range own {
			if v.late || v.begins > line || !v.from.Before(t) {
				continue
			}
			end := t
			if v.to.Before(t) {
				end = v.to
			}
			sum += -math.Expm1(-end.Sub(v.from).Minutes()) * math.Exp(-t.Sub(end).Minutes())
		}
		most = max(most, sum)
	}
	for _, v := range own {
		if v.late {
			continue
		}
		if told := s.told(v); s.within(told) {
			at(told, v.begins)
		}
		if !s.o.From.IsZero() && s.told(v).Before(s.o.From) && !v.to.Before(s.o.From) {
			at(s.o.From, s.lastLine(s.o.From.Add(-1)))
		}
		if v.ends < len(s.events) && s.within(v.to) {
			at(v.to, v.ends)
		} else if to := s.lastTime(); (v.ends == len(s.events) || v.to.After(to)) && !s.told(v).After(to) {
			at(to, s.lastLine(to))
		}
	}
	return most
}

// lastLine is the last line up to a time.
func (s *story) lastLine(t time.Time) int {
	n := 0
	for n < len(s.events) && !s.events[n].Time.After(t) {
		n++
	}
	return n - 1
}
