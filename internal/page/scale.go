package page

import (
	"math"
	"strconv"
	"time"
)

// axis is a scale of numbers from 0 to Top, with a tick at each round Step.
type axis struct{ Top, Step float64 }

// axisFor returns the axis that shows most in steps of 1, 2 or 5 and their
// tens, at most that many of them.
func axisFor(most float64, steps int) axis {
	if most <= 0 {
		return axis{Top: 1, Step: 1}
	}
	// What is counted are threads and clients: no step is less than one.
	step := max(1, math.Pow(10, math.Floor(math.Log10(most/float64(steps)))))
	for _, by := range []float64{1, 2, 5, 10} {
		if top := math.Ceil(most/(step*by)) * step * by; top <= step*by*float64(steps) {
			return axis{Top: top, Step: step * by}
		}
	}
	return axis{Top: most, Step: most}
}

// mark is a tick on an axis, At a share of its length in percent.
type mark struct {
	At    string
	Label string
	Date  string // below the label, where a day begins
	Side  string // of the tick on which the label stands: begin, mid, end
}

// marks returns the ticks of an axis of numbers, from the top down.
func (a axis) marks() []mark {
	var all []mark
	for v := 0.0; v <= a.Top+a.Step/2; v += a.Step {
		all = append(all, mark{At: percent(1 - v/a.Top), Label: numberText(v)})
	}
	return all
}

// percent writes a share as a length of SVG.
func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*10000)/100, 'f', -1, 64) + "%"
}

// numberText writes a number with one digit behind the point at most.
func numberText(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// timeSteps are the distances of ticks of time within a day.
var timeSteps = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

const (
	day = 24 * time.Hour
	// The longest time that has ticks: what is longer is no time of a log.
	longest = 200 * 365 * day
)

// timeMarks returns the ticks between two times, most at most, at round times
// of the clock in that zone.
func timeMarks(from, to time.Time, zone *time.Location, most int) []mark {
	span := to.Sub(from)
	if span <= 0 || span > longest || most < 1 {
		return nil
	}
	for _, step := range timeSteps {
		if span <= step*time.Duration(most) {
			return placed(within(from, to, zone, step), from, span, step)
		}
	}
	days := 1
	for span > time.Duration(days*most)*day {
		days++
	}
	return placed(daysWithin(from, to, zone, days), from, span, day)
}

// within returns the times that are multiples of a step since their midnight.
func within(from, to time.Time, zone *time.Location, step time.Duration) []time.Time {
	var all []time.Time
	local := from.In(zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	for !midnight.After(to) {
		next := midnight.AddDate(0, 0, 1)
		// A day on which the clock is set has another length, and the rest of it
		// still shows round times.
		for clock := time.Duration(0); clock < day; clock += step {
			t := time.Date(midnight.Year(), midnight.Month(), midnight.Day(), 0, 0, int(clock/time.Second), 0, zone)
			if !t.Before(from) && !t.After(to) && t.Before(next) && (len(all) == 0 || t.After(all[len(all)-1])) {
				all = append(all, t)
			}
			if t.After(to) {
				break
			}
		}
		midnight = next
	}
	return all
}

// daysWithin returns each so many-th midnight.
func daysWithin(from, to time.Time, zone *time.Location, days int) []time.Time {
	var all []time.Time
	local := from.In(zone)
	for t := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone); !t.After(to); t = t.AddDate(0, 0, days) {
		if t.Before(from) {
			t = t.AddDate(0, 0, 1-days)
			continue
		}
		all = append(all, t)
	}
	return all
}

// placed labels ticks. The date stands at the first, and where another begins.
func placed(times []time.Time, from time.Time, span, step time.Duration) []mark {
	all := make([]mark, 0, len(times))
	date := ""
	for _, t := range times {
		at := float64(t.Sub(from)) / float64(span)
		m := mark{At: percent(at), Side: "mid"}
		switch {
		case at < .04:
			m.Side = "begin"
		case at > .96:
			m.Side = "end"
		}
		switch {
		case step >= day:
			m.Label = t.Format("2 Jan")
		case step >= time.Minute:
			m.Label = t.Format("15:04")
		default:
			m.Label = t.Format("15:04:05")
		}
		if today := t.Format("2 Jan 2006"); step < day && today != date {
			m.Date, date = today, today
		} else if year := t.Format("2006"); step >= day && year != date {
			m.Date, date = year, year
		}
		all = append(all, m)
	}
	return all
}
