package score

import (
	"fmt"

	"overstay/connlog"
	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// diagnosis is what is made of a log on which everybody is suspected whom the
// detector has decided about.
type diagnosis struct{ recorder *cause.Recorder }

func newDiagnosis() *diagnosis {
	return &diagnosis{recorder: cause.New(cause.Options{})}
}

func (g *diagnosis) hear(e *connlog.Event, decisions []detector.Decision) {
	g.recorder.Observe(e)
	for i := range decisions {
		d := &decisions[i]
		g.recorder.Suspect(cause.Suspect{Source: d.Source, Policy: d.Policy, At: d.At, Until: d.At.Add(d.Duration), Services: d.Services})
	}
}

// verdict is that of the stretch with the most refusals. Left are the refusals
// of all stretches that would have happened if the suspects had been banned.
func (g *diagnosis) verdict(seed uint64) (v loss.Verdict, left uint64, err error) {
	var reports []*cause.Report
	for _, s := range g.recorder.Stretches() {
		// What each suspect does alone is not looked at here.
		r, err := g.recorder.Report(s, loss.Question{Seed: seed, Seeds: 3, Singles: -1})
		if err != nil {
			return v, 0, fmt.Errorf("from %v: %w", s.From, err)
		}
		reports = append(reports, r)
		left += uint64(max(r.Policy.Left.Median, 0))
	}
	if worst := cause.Worst(reports...); worst != nil {
		v = worst.Verdict()
	}
	return v, left, nil
}
