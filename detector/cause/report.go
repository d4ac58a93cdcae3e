package cause

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"

	"overstay/detector/loss"
)

// Errors of Report.
var (
	ErrPool      = errors.New("cause: no such pool")
	ErrForgotten = errors.New("cause: nothing is known of that time")
)

// Report is why a pool turned clients away in a stretch of time, and what
// would have helped. Refusals are those of sources that are not suspects, if
// nothing else is said.
type Report struct {
	Stretch
	// Threads of the pool.
	Threads int `json:"threads"`
	// Arrivals from the first refusal of the stretch to the last, these too.
	Arrivals uint64 `json:"arrivals"`
	// Suspects, by blame: those decided about, or banned, in the stretch.
	Suspects []Accused `json:"suspects"`
	// Idle are suspects that took a thread from nobody: there is no use in
	// banning them, so they count as clients.
	Idle []Accused `json:"idle,omitempty"`
	// Policy is what the bans of the suspects avert, each from the time of its
	// decision to its end.
	Policy    loss.Averted   `json:"policy"`
	Diagnosis loss.Diagnosis `json:"diagnosis"`
	// Assumptions of every report.
	Assumptions []string `json:"assumptions"`
	// Notes are what is special about this one.
	Notes []string `json:"notes,omitempty"`
}

// Accused is a suspect, with what it did in the stretch.
type Accused struct {
	Source netip.Prefix `json:"source"`
	Policy string       `json:"policy"` // that decided first
	Since  time.Time    `json:"since"`  // of its first decision
	// Addresses of it that came: IPv4 addresses, or /64 of IPv6.
	Addresses int `json:"addresses"`
	// Blame is its part of the refusals, by what it held at each of them.
	Blame float64 `json:"blame"`
	// Loudest is the one address of a net, or the /64, that has nine tenths of its
	// blame or more, if one has; LoudestBlame is how much.
	Loudest      netip.Prefix `json:"loudest,omitzero"`
	LoudestBlame float64      `json:"loudest_blame,omitzero"`
	// Alone says that a ban of this one alone was tried, and Averted what it
	// averts. That is done for those with the most blame that are in no other
	// suspect; see loss.Question.
	Alone   bool         `json:"alone"`
	Averted loss.Averted `json:"averted"`
}

// Verdict of the report.
func (r *Report) Verdict() loss.Verdict { return r.Diagnosis.Finding.Verdict }

// Assumptions that every number of a report rests on.
func assumptions() []string {
	return []string{
		"Who was refused would have taken as long as a random other connection of its source, or else of its service.",
		"A client that tries again within a minute comes for the same thing, and once it is served it comes as often as it does when it is; who is refused tries no more often than in the log.",
		"Messages wait for the scanner in one queue, with as many scanners as explain best what they waited.",
		"Ranges are over random draws; they do not tell of what the assumptions miss.",
	}
}

// margin is what is counted before and after a stretch: a refusal is judged
// against at least two minutes of traffic.
const margin = 60 * micros

// Report replays a stretch and says what the refusals came from. The same log,
// suspects and question give the same report.
func (r *Recorder) Report(s Stretch, q loss.Question) (*Report, error) {
	scene, err := r.scene(s)
	if err != nil {
		return nil, err
	}
	accused := scene.accuse(scene.concerned(r.suspects))
	scene.sweep(accused)
	accused, idle := scene.sort(accused)
	out, err := scene.try(s, q, accused)
	if err != nil {
		return nil, err
	}
	// Who averts nothing by itself may still be the last of many that matter.
	useless := out.useless(q)
	if len(useless) > 0 {
		accused = slices.DeleteFunc(accused, func(g *group) bool {
			drop := slices.Contains(useless, g)
			if drop {
				idle = append(idle, g)
			}
			return drop
		})
		if out, err = scene.try(s, q, accused); err != nil {
			return nil, err
		}
	}
	rep := out.report
	for _, g := range idle {
		rep.Idle = append(rep.Idle, g.Accused)
	}
	slices.SortFunc(rep.Idle, func(a, b Accused) int { return comparePrefixes(a.Source, b.Source) })
	rep.Notes = append(scene.notes, r.notes(scene)...)
	again := 0
	for _, g := range accused {
		if scene.outlived(g) {
			again++
		}
	}
	if again > 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("Suspects that came again after their bans had ended: %d. With the bans in force, they would have been banned again.", again))
	}
	return rep, nil
}

// trial is a replay with some suspects.
type trial struct {
	system  *loss.System
	accused []*group
	report  *Report
}

// try replays with some suspects.
func (c *scene) try(s Stretch, q loss.Question, accused []*group) (*trial, error) {
	o := loss.Options{Groups: [][]uint32{}, Services: c.limits(accused)}
	var bans []loss.TimedBan
	inner := folded(accused)
	for i, g := range accused {
		o.Suspects = append(o.Suspects, g.members...)
		if !inner[i] {
			o.Groups = append(o.Groups, g.members)
		}
		bans = append(bans, c.ban(g))
	}
	system, err := loss.New(c.recording(), o)
	if err != nil {
		return nil, fmt.Errorf("replay of pool %q: %w", s.Pool, err)
	}
	rep := &Report{Stretch: s, Threads: c.threads, Arrivals: c.arrived, Suspects: []Accused{},
		Diagnosis: system.Diagnose(q), Assumptions: assumptions()}
	rep.Policy = system.Averts(loss.Change{Bans: bans}, q)
	rep.Policy.Change = loss.Change{}
	alone := rep.Diagnosis.Alone
	for i, g := range accused {
		a := g.Accused
		if a.Alone = !inner[i] && len(alone) > 0; a.Alone {
			a.Averted, alone = alone[0], alone[1:]
			a.Averted.Change = loss.Change{}
		}
		rep.Suspects = append(rep.Suspects, a)
	}
	return &trial{system: system, accused: accused, report: rep}, nil
}

// limits are the services that a ban of each source is for, where it is not for all: those of
// all its decisions.
func (c *scene) limits(accused []*group) map[uint32][]uint16 {
	limited := make(map[uint32][]uint16)
	for _, g := range accused {
		of, all := c.servicesOf(g)
		for _, m := range g.members {
			if known, ok := limited[m]; all || ok && known == nil {
				limited[m] = nil
			} else {
				limited[m] = slices.Concat(known, of)
			}
		}
	}
	maps.DeleteFunc(limited, func(_ uint32, of []uint16) bool { return of == nil })
	return limited
}

// servicesOf are the services that the decisions about a suspect are for, not
// nil, or all.
func (c *scene) servicesOf(g *group) (of []uint16, all bool) {
	of = []uint16{unknownService}
	for _, b := range g.bans {
		if len(b.Services) == 0 {
			return nil, true
		}
		for _, name := range b.Services {
			if n, ok := c.services[name]; ok && !slices.Contains(of, n) {
				of = append(of, n)
			}
		}
	}
	return of, false
}

// unknownService is no number of a service.
const unknownService = math.MaxUint16

// ban of a suspect, as it was timed.
func (c *scene) ban(g *group) loss.TimedBan {
	ban := loss.TimedBan{Sources: g.members}
	for _, b := range g.bans {
		if b.until > b.from {
			ban.Times = append(ban.Times, loss.Times{From: c.since(b.from), Until: c.since(b.until)})
		}
	}
	return ban
}

// useless are suspects whose own ban averts nothing, and whose ban adds
// nothing to that of all others.
func (t *trial) useless(q loss.Question) []*group {
	var found []*group
	for i, a := range t.report.Suspects {
		if !a.Alone || a.Averted.Averted.Median > 0 {
			continue
		}
		var rest []uint32
		for j, g := range t.accused {
			if i != j {
				rest = append(rest, g.members...)
			}
		}
		without := t.system.Averts(loss.Change{Without: rest}, q)
		if without.Left.Median <= t.report.Diagnosis.Together.Left.Median {
			found = append(found, t.accused[i])
		}
	}
	return found
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Worst is the report with the most refusals among those whose verdict is not
// healthy, or else among all; nil for none.
func Worst(reports ...*Report) *Report {
	var worst *Report
	for _, r := range reports {
		if worst == nil || cmp.Or(cmp.Compare(ill(r), ill(worst)), cmp.Compare(r.Diagnosis.Others, worst.Diagnosis.Others)) > 0 {
			worst = r
		}
	}
	return worst
}

func ill(r *Report) int {
	if r.Verdict() == loss.Healthy {
		return 0
	}
	return 1
}
