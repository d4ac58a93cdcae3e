package detector

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// ofNet fills in the figures of the net in view: those that are kept for nets.
func (d *Detector) ofNet(e *Evidence, v *view) {
	n, all, unproven := v.net(), v.netLoad(), v.netUnprovenLoad()
	e.Share = round(v.p.share(int(n.open)))
	e.Open = int(n.open)
	e.Load1, e.Load5, e.Load15 = round(all.m1), round(all.m5), round(all.m15)
	e.ThreadSeconds = round(n.threadSeconds(v.now))

	e.Unproven = int(n.unproven)
	e.UnprovenMean = round(n.meanAge(v.now))
	e.OvertakenS = round(v.netOvertaken())
	e.UnprovenLoad1, e.UnprovenLoad5, e.UnprovenLoad15 = round(unproven.m1), round(unproven.m5), round(unproven.m15)

	u := &n.sums
	e.Opens = round(v.netRate(u.opens))
	e.Proven = round(v.netRate(u.proven))
	e.Proven15 = round(v.netRate15(u.proven15))
	e.Fails = round(v.netRate(u.fails))
	e.LoginsFailed = round(v.netRate(u.logins))
	e.LoginsFailed15 = round(v.netRate15(u.logins15))
	e.Short = round(v.netRate(u.short))
	e.Blame = round(u.blame)
	e.Blame1 = round(v.netRate(u.blame1))

	past := v.d.memory.peek(d.nets.target(n.key)).history(v.d.listNow())
	e.HistoryBans, e.HistoryReturns = past.bans, past.returns

	first := n.first.of.first
	for h := n.first; h != nil; h = h.nextMember {
		first = min(first, h.of.first)
		e.OldestS = max(e.OldestS, round(v.since(h.oldest())))
		if c := h.unproven.first; c != nil {
			e.UnprovenOldest = max(e.UnprovenOldest, round(v.since(c.opened)))
		}
	}
	e.FirstSeen = time.Unix(int64(first), 0).UTC()
	e.Lines = d.netLines(n)
}

// netEvidence takes down the net in view, and the part of it that a decision is
// about.
func (d *Detector) netEvidence(n *net, v *view, about target) *NetEvidence {
	whole := d.nets.target(n.key)
	all, unproven := v.netLoad(), v.netUnprovenLoad()
	e := &NetEvidence{
		Prefix:  whole.prefix(),
		Members: int(n.members),
		Open:    int(n.open),
		Share:   round(v.p.share(int(n.open))),

		UnprovenMembers: int(n.unprovenMembers),
		Unproven:        int(n.unproven),
		Others:          n.others(),

		Load1:         round(all.m1),
		Load5:         round(all.m5),
		Load15:        round(all.m15),
		UnprovenLoad1: round(unproven.m1),
		UnprovenLoad5: round(unproven.m5),

		Within: 1,
	}
	if v.s != nil { // nothing is asked of the other members: there may be many
		e.Part = round(partOf(v.s.all.m1, all.m1))
		return e
	}
	e.Within = n.membersIn(about)
	e.Part = round(partOf(n.loadIn(about, v.now), n.loadIn(whole, v.now)))
	return e
}

// netLines names the lines that opened the oldest unproven connections of a
// net, one of each member.
func (d *Detector) netLines(n *net) []string {
	var oldest []*conn
	for h := n.first; h != nil; h = h.nextMember {
		if c := h.unproven.first; c != nil {
			oldest = append(oldest, c)
		}
	}
	slices.SortFunc(oldest, func(a, b *conn) int {
		return cmp.Or(cmp.Compare(a.opened, b.opened), cmp.Compare(a.seq, b.seq))
	})
	var out []string
	for _, c := range oldest[:min(len(oldest), maxLines)] {
		out = append(out, d.boot+":"+strconv.FormatUint(c.seq, 10))
	}
	return out
}

// partOf is the part of a load that another is.
func partOf(load, of float64) float64 {
	if of <= 0 {
		return 0
	}
	return min(load/of, 1)
}
