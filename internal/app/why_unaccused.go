package app

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/detector"
	"overstay/detector/cause"
	"overstay/detector/loss"
)

// Unaccused is a source that caused much of a pool's refusals, and is no
// suspect.
type Unaccused struct {
	Pool   string
	Source netip.Prefix
	// Blame is its part of the refusals of others, Share the same of them all.
	Blame, Share float64
	// Allowed is the entry of the allow list that spares it, if one does.
	Allowed netip.Prefix
	// Found says that a policy found it, but not for the time in question.
	Found bool
}

const (
	// unaccusedShare is from where on a source is named that is no suspect.
	unaccusedShare = 0.2
	// unaccusedTried bounds the sources that are looked at.
	unaccusedTried = 8
)

// unaccused names who else is to blame, in each of the reports. It makes
// suspects of them, so the reports themselves come before.
func (in *inquiry) unaccused(read LogsRead, reports []*cause.Report) ([]Unaccused, error) {
	var all []Unaccused
	loudest := in.loudest()
	for _, r := range reports {
		var tried []netip.Prefix
		for _, rank := range loudest {
			// What is asked about is a part of the log, so its blame is one too.
			if len(tried) < unaccusedTried && rank.Blame > 0 && rank.Blame >= unaccusedShare/2*float64(r.Diagnosis.Others) && !told(r, rank.Source) {
				tried = append(tried, rank.Source)
			}
		}
		if r.Refused == 0 || len(tried) == 0 {
			continue
		}
		for _, p := range tried {
			in.recorder.Suspect(cause.Suspect{Source: p, At: read.From, Until: read.To.Add(time.Microsecond)})
		}
		trial, err := in.recorder.Report(r.Stretch, loss.Question{Seed: r.Diagnosis.Question.Seed, Seeds: 1, Singles: -1})
		if err != nil {
			return nil, fmt.Errorf("who else is to blame: %w", err)
		}
		for _, a := range trial.Suspects {
			if !slices.Contains(tried, a.Source) || namedOtherwise(a, trial.Suspects) {
				continue
			}
			share := a.Blame / float64(max(trial.Diagnosis.Others, 1))
			if share >= unaccusedShare {
				all = append(all, in.reason(Unaccused{Pool: r.Pool, Source: a.Source, Blame: a.Blame, Share: min(share, 1)}))
			}
		}
	}
	return all, nil
}

// namedOtherwise reports whether another name says more: that of the address
// with nearly all that its net caused, else that of the net.
func namedOtherwise(one cause.Accused, all []cause.Accused) bool {
	const most = 0.9
	return slices.ContainsFunc(all, func(other cause.Accused) bool {
		switch {
		case one.Source == other.Source:
			return false
		case covers(one.Source, other.Source):
			return other.Blame >= most*one.Blame
		}
		return covers(other.Source, one.Source) && one.Blame < most*other.Blame
	})
}

// loudest are all sources, and the nets that are allowed, by what they caused.
func (in *inquiry) loudest() []detector.Rank {
	all := in.detector.Ranking(math.MaxInt)
	for _, net := range in.detector.Nets(math.MaxInt) {
		if in.allows(net.Source).IsValid() {
			all = append(all, net)
		}
	}
	slices.SortStableFunc(all, func(a, b detector.Rank) int { return cmp.Compare(b.Blame, a.Blame) })
	return all
}

// told reports whether a report tells of a source already.
func told(r *cause.Report, source netip.Prefix) bool {
	return slices.ContainsFunc(slices.Concat(r.Suspects, r.Idle), func(a cause.Accused) bool { return a.Source.Overlaps(source) })
}

// reason finds why a source is no suspect.
func (in *inquiry) reason(u Unaccused) Unaccused {
	u.Allowed = in.allows(u.Source)
	u.Found = slices.ContainsFunc(in.decisions, func(d detector.Decision) bool { return covers(d.Source, u.Source) })
	return u
}

// allows returns the entry of the allow list that all of a source is in.
func (in *inquiry) allows(source netip.Prefix) netip.Prefix {
	for _, p := range in.allowed {
		if covers(p, source) {
			return p
		}
	}
	return netip.Prefix{}
}
