package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"overstay/connlog"
	"overstay/detector/cause"
	"overstay/internal/app"
)

// Whom why accuses, and who is to blame and is no suspect.

// accused lists the suspects, and what a ban of each alone would have averted.
func (u *ui) accused(r *cause.Report, most int) {
	all := r.Diagnosis.Finding.Grounds.Refused.Median
	if suspects := outermost(r.Suspects); len(suspects) > 0 {
		u.print("")
		n := shown(len(suspects), most)
		rows := make([][]string, 0, n)
		for i := range suspects[:n] {
			rows = append(rows, accusedRow(&suspects[i], all))
		}
		u.table([]string{"SUSPECT", "POLICY", " CAUSED", " ALONE AVERTS", " ", "REPLAYS"}, rows)
		u.more(n, len(suspects), "")
		for i := range suspects[:n] {
			if a := &suspects[i]; a.Loudest.IsValid() {
				u.paragraph("  ", "  ", "Of the %s that %s caused, %s are of %s alone.",
					blameNumber(a.Blame), sourceText(a.Source), blameNumber(a.LoudestBlame), sourceText(a.Loudest))
			}
		}
		if n < len(suspects) {
			u.netsOf(suspects)
		}
		if inside := len(r.Suspects) - len(suspects); inside > 0 {
			u.paragraph("  ", "  ", "%s found one by one too.", count(inside, "address of these nets was", "addresses of these nets were"))
		}
	}
	if len(r.Idle) > 0 {
		var names []string
		for _, a := range r.Idle {
			names = append(names, sourceText(a.Source))
		}
		u.paragraph("", "  ", "A policy found these too, but a ban of them would have averted nothing: %s.", listText(names, max(most/2, 5)))
	}
}

// unaccused names who is to blame in a pool and is no suspect.
func (u *ui) unaccused(pool string, all []app.Unaccused) {
	for _, a := range all {
		if a.Pool == pool {
			u.print("")
			u.paragraph("", "  ", "No suspect, but to blame: %s.", unaccusedText(&a))
		}
	}
}

func unaccusedText(a *app.Unaccused) string {
	return fmt.Sprintf("%s caused %s of the refusals of others: %s", sourceText(a.Source), percent(a.Share, 1), sparedText(a))
}

// sparedText says why somebody who is to blame is no suspect.
func sparedText(a *app.Unaccused) string {
	switch {
	case a.Allowed.IsValid() && a.Allowed != a.Source:
		return "it is on the allow list, as " + sourceText(a.Allowed)
	case a.Allowed.IsValid():
		return "it is on the allow list"
	case a.Found:
		return "a policy found it at another time only"
	}
	return "no policy finds it"
}

// unaccusedView is the same as JSON.
type unaccusedView struct {
	Pool    string  `json:"pool"`
	Source  string  `json:"source"`
	Blame   float64 `json:"blame"`
	Share   float64 `json:"share"`
	Allowed string  `json:"allowed,omitempty"` // the entry of the allow list
	Found   bool    `json:"found"`             // by a policy, at another time
}

func viewUnaccused(all []app.Unaccused) []unaccusedView {
	views := make([]unaccusedView, 0, len(all))
	for _, a := range all {
		v := unaccusedView{Pool: a.Pool, Source: sourceText(a.Source), Blame: a.Blame, Share: a.Share, Found: a.Found}
		if a.Allowed.IsValid() {
			v.Allowed = sourceText(a.Allowed)
		}
		views = append(views, v)
	}
	return views
}

// outermost leaves out the suspects that lie in another one, as the addresses
// of a net do that was found itself.
func outermost(suspects []cause.Accused) []cause.Accused {
	var nets []netip.Prefix
	for i := range suspects {
		if p := suspects[i].Source; p != connlog.AddressLevel.Source(p.Addr()) {
			nets = append(nets, p)
		}
	}
	return slices.DeleteFunc(slices.Clone(suspects), func(a cause.Accused) bool {
		return slices.ContainsFunc(nets, func(net netip.Prefix) bool {
			return net != a.Source && net.Bits() <= a.Source.Bits() && net.Contains(a.Source.Addr())
		})
	})
}

// suspectCount writes how many suspects there are, nets and addresses apart.
func suspectCount(r *cause.Report) string {
	nets, addresses := 0, 0
	for _, a := range outermost(r.Suspects) {
		if a.Source == connlog.AddressLevel.Source(a.Source.Addr()) {
			addresses++
		} else {
			nets++
		}
	}
	switch {
	case nets == 0:
		return count(addresses, "source", "sources")
	case addresses == 0:
		return count(nets, "net", "nets")
	}
	return count(nets, "net", "nets") + " and " + count(addresses, "address", "addresses")
}

// netsOf says in which nets suspects are, where these are so few that it says
// something.
func (u *ui) netsOf(suspects []cause.Accused) {
	counts := map[string]int{}
	for i := range suspects {
		net := suspects[i].Source
		if wider := connlog.NetLevel.Source(net.Addr()); wider.Bits() < net.Bits() {
			net = wider
		}
		counts[sourceText(net)]++
	}
	if len(counts) > len(suspects)/3 {
		return
	}
	nets := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, net := range nets {
		nets[i] = fmt.Sprintf("%d in %s", counts[net], net)
	}
	u.paragraph("  ", "  ", "Of all these, %s.", listText(nets, 5))
}

func accusedRow(a *cause.Accused, all int64) []string {
	row := []string{sourceText(a.Source), a.Policy, blameNumber(a.Blame), "", "", ""}
	if a.Alone {
		s := a.Averted.Averted
		row[3], row[4], row[5] = avertedNumber(s), avertedPart(s, all), spreadText(s)
	}
	return row
}
