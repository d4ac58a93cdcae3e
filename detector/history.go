package detector

import "math"

// banHistory is what earlier bans of a source come to, as they are known at one
// moment.
type banHistory struct {
	bans    int
	since   float64 // seconds since the last one ended; infinite if there is none
	returns int     // how often it was banned again within an hour of an end
}

// returned is how soon after the end of a ban the next one makes a return.
const returned = 60 * 60 * micros

// history of the bans that were before now, a time of the log. A log that is
// read again has later ones too, which do not count, nor do those from before
// its clock was set back, until it gets there again.
func (r *record) history(now int64) banHistory {
	h := banHistory{since: math.Inf(1)}
	if r == nil {
		return h
	}
	var end int64
	for _, b := range r.bans {
		if b.at >= now {
			break
		}
		if b.forgiven {
			continue
		}
		if h.bans > 0 && b.at >= end && b.at-end <= returned {
			h.returns++
		}
		h.bans++
		end = max(end, b.until)
	}
	if h.bans > 0 {
		h.since = float64(max(now-end, 0)) / micros
	}
	return h
}

// history of the source in view.
func (v *view) history() banHistory {
	return v.d.memory.peek(v.d.target(v.s.key)).history(v.d.listNow())
}
