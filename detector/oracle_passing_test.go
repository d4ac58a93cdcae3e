package detector

import (
	"math"
	"slices"

	"overstay/connlog"
)

// passage is a connection that was opened before the eyes of the oracle, or
// carried over, and got through.
type passage struct {
	pool, source string
	way          int
	opened, at   float64
	newcomer     bool
}

func (o *oracle) passed(c *span, by connlog.By) {
	o.passages = append(o.passages, passage{pool: c.of.pool, source: c.source, way: wayOf(by),
		opened: c.from, at: o.now, newcomer: c.newcomer})
}

// isNewcomer goes by what a source has proven, for a connection that opens now.
func (o *oracle) isNewcomer(h *history) bool {
	var proven15 float64
	for _, m := range h.marks["proven"] {
		proven15 += m.n * math.Exp((m.at-o.now)/900) / 15
	}
	sits := 1
	for _, c := range h.spans {
		if c.to > o.now && c.provenAt > o.now {
			sits++
		}
	}
	return proven15 < regular || sits > 1 && float64(sits) > 15*proven15
}

// usualWays are when the third latest source was opened that got through, for
// each way that a fifth of all proofs go.
func (o *oracle) usualWays(pool string) map[int]float64 {
	latest := make(map[int]map[string]float64)
	rates := make(map[int]float64)
	all := 0.0
	for _, p := range o.passages {
		if p.pool != pool {
			continue
		}
		rate := math.Exp((p.at-o.now)/900) / 15
		rates[p.way] += rate
		all += rate
		if latest[p.way] == nil {
			latest[p.way] = make(map[string]float64)
		}
		if before, known := latest[p.way][p.source]; !known || before < p.opened {
			latest[p.way][p.source] = p.opened
		}
	}
	marks := make(map[int]float64)
	for way, sources := range latest {
		if len(sources) < 3 || rates[way] < 0.2*all {
			continue
		}
		var times []float64
		for _, at := range sources {
			times = append(times, at)
		}
		slices.Sort(times)
		marks[way] = times[len(times)-3]
		for _, at := range o.restarts {
			marks[way] = max(marks[way], at)
		}
	}
	return marks
}

// addPassing puts in what follows from the mean age.
func (o *oracle) addPassing(f map[string]float64, prefix, pool string, usual float64) {
	f[prefix+"overtaken"] = 0
	if f[prefix+"open"] == 0 {
		return
	}
	expected := 0.0
	if marks := o.usualWays(pool); len(marks) > 0 {
		ahead := math.Inf(-1)
		for _, mark := range marks {
			ahead = max(ahead, o.now-mark-f[prefix+"mean_age"])
		}
		f[prefix+"overtaken"] = max(-ahead, 0)
		expected = max(f["proven"], f["proven15"]) / 60 * (2*max(ahead, 0) + usual)
	}
	f[prefix+"rush"] = f[prefix+"open"] / (1 + expected)
}

// rush goes by what is usual as the detector has it, which another test checks.
func (o *oracle) rush(pool string, usual float64) float64 {
	least := math.Inf(1)
	slack := max(1, 2*usual)
	for way, mark := range o.usualWays(pool) {
		var opened, newcomers, after, per5, per15 float64
		for _, c := range o.conns {
			if c.of.pool == pool && !c.carried && c.provenAt > o.now && c.from > mark-slack {
				opened++
				if c.newcomer {
					newcomers++
					after += c.from - mark
				}
			}
		}
		for _, p := range o.passages {
			if p.pool == pool && p.way == way && p.newcomer {
				per5 += math.Exp((p.at-o.now)/300) / 5
				per15 += math.Exp((p.at-o.now)/900) / 15
			}
		}
		rush := 0.0
		if newcomers > 0 && newcomers >= opened/2 {
			rush = newcomers / (1 + (2*max(after/newcomers, 0)+usual)/60*max(per5, per15))
		}
		least = min(least, rush)
	}
	return least
}

// proveTime is the longest that one of those took that were proven since the
// last moment without any.
func (h *history) proveTime(now float64) (longest float64) {
	since := now
	for moved := true; moved; {
		moved = false
		for _, c := range h.spans {
			if c.seen < since && c.to > since {
				since, moved = c.seen, true
			}
		}
	}
	for _, c := range h.spans {
		if took := c.provenAt - c.from; c.provenAt >= since && c.provenAt <= now && c.to > since && took < leapt {
			longest = max(longest, min(took, longProof))
		}
	}
	return longest
}

func (d *Detector) rushIn(pool string) float64 {
	return d.pools.byName[pool].passing.rush(d.now)
}
