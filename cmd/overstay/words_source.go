package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector/loss"
	"overstay/internal/app"
	"overstay/internal/guard"
)

// Everything that why says of one source.

// whySource tells what list and log know of a source.
func (u *ui) whySource(r *app.SourceReport, most int, now time.Time) error {
	if u.json {
		return u.printJSON(viewSource(r))
	}
	u.row("%s", standingText(r))
	for _, h := range r.Guarded[:shown(len(r.Guarded), 3)] {
		u.paragraph("", "  ", "No policy ever bans %s: %s.", sourceText(h.Prefix), guardText(h.Kind))
	}
	n := shown(len(r.Entries), most)
	for i := range n {
		b := &r.Entries[i]
		u.print("")
		if i > 0 && b.State != banlist.Active && b.State != banlist.Suggested {
			u.row("%s", pastText(b)) // What was is told in short.
			continue
		}
		u.entry(b)
	}
	u.more(n, len(r.Entries), " on the list: overstay bans --all")
	u.returns(r)
	u.print("")
	u.logged(r, most, now)
	u.effect(r)
	u.netEffect(r)
	u.undecided(r, most)
	u.readText(&r.Read)
	return nil
}

// standingText says in a sentence what the list makes of the source.
func standingText(r *app.SourceReport) string {
	name := sourceText(r.Source)
	if r.Allowed != nil {
		text := fmt.Sprintf("%s is on the allow list as %s, %s", name, sourceText(r.Allowed.Prefix), untilText(r.Allowed.Expires))
		if r.Allowed.Note != "" {
			text += ": " + r.Allowed.Note
		}
		return text + "."
	}
	if len(r.Entries) == 0 {
		return name + " is not on the list."
	}
	b := &r.Entries[0]
	switch {
	case b.State != banlist.Active && b.State != banlist.Suggested:
		return name + " is not banned now. It was: see below."
	case b.Prefix == r.Source || b.Prefix.Bits() > r.Source.Bits() && b.Prefix.Addr() == r.Source.Addr() && b.Prefix.IsSingleIP() && r.Source.IsSingleIP():
		return fmt.Sprintf("%s is %s.", name, stateText(b))
	case b.Prefix.Bits() < r.Source.Bits():
		return fmt.Sprintf("%s is %s, as part of %s.", name, stateText(b), sourceText(b.Prefix))
	}
	return fmt.Sprintf("%s is not banned as a whole; a part of it, %s, is %s.", name, sourceText(b.Prefix), stateText(b))
}

// guardText says why a host is guarded.
func guardText(k guard.Kind) string {
	switch k {
	case guard.Own:
		return "it is an address of this machine"
	case guard.Gateway:
		return "it is this machine's gateway"
	case guard.Operator:
		return "an operator is logged in from there"
	case guard.Proxy:
		return "it is a trusted proxy, which speaks for others"
	}
	return string(k)
}

// stateText says how an entry that is in force stands.
func stateText(b *banlist.Ban) string {
	if b.State == banlist.Suggested {
		return fmt.Sprintf("suggested for a ban of %s, which waits for you (overstay review)", lengthText(b.Duration))
	}
	return fmt.Sprintf("banned %s, on %s, by %s", ends(b), servicesText(b), b.Origin)
}

// entry tells one entry with its evidence in full.
func (u *ui) entry(b *banlist.Ban) {
	u.paragraph("", "  ", "%s  %s  decided %s, by %s (%s)", sourceText(b.Prefix), b.State, whenText(b.Decided), b.Origin, b.ID)
	e, ok := evidenceOf(b)
	if !ok {
		u.paragraph("  ", "    ", "%s", cmp.Or(b.Reason, "No evidence was kept."))
		return
	}
	for _, line := range evidenceWords(e) {
		u.paragraph("  ", "    ", "%s", line)
	}
}

// pastText tells an entry that is over on one line.
func pastText(b *banlist.Ban) string {
	return fmt.Sprintf("%s  %s  decided %s for %s, by %s", sourceText(b.Prefix), b.State, whenText(b.Decided), lengthText(b.Duration), b.Origin)
}

// returns says how often the source was banned before, and how soon it came
// back.
func (u *ui) returns(r *app.SourceReport) {
	var ended time.Time
	var back []string
	bans := 0
	for _, step := range r.History {
		switch step.To {
		case banlist.Active:
			if step.From == banlist.Active {
				continue
			}
			bans++
			if !ended.IsZero() {
				back = append(back, secondsText(step.Time.Sub(ended).Seconds()))
			}
		case banlist.Expired, banlist.Lifted:
			ended = step.Time
		}
	}
	if bans < 2 && len(back) == 0 {
		return
	}
	text := fmt.Sprintf("Banned %s in all.", count(bans, "time", "times"))
	if len(back) > 0 {
		text += fmt.Sprintf(" It was banned again %s after the end of a ban.", listText(back, 5))
	}
	u.print("")
	u.paragraph("", "  ", "%s", text)
}

// logged tells what the log says.
func (u *ui) logged(r *app.SourceReport, most int, now time.Time) {
	s := &r.Seen
	u.paragraph("", "  ", "The log, %s:", spanText(r.Read.From, r.Read.To, endedText(r.Read.To, now)))
	if s.First.IsZero() {
		u.print("  It does not name %s.", sourceText(r.Source))
		return
	}
	for _, line := range seenWords(r) {
		u.paragraph("  ", "    ", "%s", line)
	}
	u.ranks(r, most)
	u.openConns(s, most)
	if len(s.Lines) > 0 {
		u.paragraph("  ", "    ", "Last lines about it, as boot:seq: %s.", strings.Join(s.Lines, ", "))
	}
}

func endedText(t, now time.Time) string {
	if ago := agoText(t, now); ago != "" {
		return "ended " + ago
	}
	return ""
}

// seenWords tells what was counted, in sentences.
func seenWords(r *app.SourceReport) []string {
	s := &r.Seen
	var lines []string
	who := ""
	if s.Addresses > 1 {
		who = fmt.Sprintf(", from %d addresses", s.Addresses)
	}
	lines = append(lines, fmt.Sprintf("Seen %s%s: %s, %d of them proven to be a client's; %d open at the end.",
		spanText(s.First, s.Last), who, count(s.Opened, "connection", "connections"), s.Proven, len(s.Open)))
	if n := total(s.Ended); n > 0 {
		lines = append(lines, fmt.Sprintf("%s ended, after %s on average: %s.", count(n, "connection", "connections"),
			briefText(s.Held.Seconds()/float64(n)), tally(s.Ended, endText)))
	}
	if n := total(s.Refused); n > 0 {
		lines = append(lines, fmt.Sprintf("Turned away %s: %s.", count(n, "time", "times"), tally(s.Refused, reasonText)))
	}
	if n := total(s.Fails); n > 0 {
		lines = append(lines, fmt.Sprintf("Failed %s: %s.", count(n, "time", "times"), tally(s.Fails, failText)))
	}
	return append(lines, blameText(r))
}

// blameText says which part of the refusals the source caused.
func blameText(r *app.SourceReport) string {
	var blame, refusals float64
	for _, rank := range r.Ranks {
		blame += rank.Blame
	}
	for _, p := range r.Pools {
		refusals += p.Refusals
	}
	switch {
	case refusals == 0:
		return "Nobody was told too busy in that time."
	case blame < 0.05:
		return fmt.Sprintf("It caused none of the %.0f refusals in that time.", refusals)
	}
	return fmt.Sprintf("It caused %s of the %.0f refusals in that time%s: its part of the threads that were held when others were refused.",
		blameNumber(blame), refusals, inBrackets(percent(blame, refusals)))
}

// blameNumber writes blame, which is a sum of parts, without parts where they
// are of no matter.
func blameNumber(b float64) string {
	if b < 10 {
		return fmt.Sprintf("%.1f", b)
	}
	return fmt.Sprintf("%.0f", b)
}

// ranks tells where the source stands now.
func (u *ui) ranks(r *app.SourceReport, most int) {
	if len(r.Ranks) == 0 {
		u.print("  The ranking no longer has it.")
		return
	}
	u.paragraph("  ", "    ", "At the end of the log, place %d of %s by the threads held:", r.Place, count(r.Sources, "source", "sources"))
	n := shown(len(r.Ranks), most)
	rows := make([][]string, 0, n)
	for _, rank := range r.Ranks[:n] {
		rows = append(rows, []string{
			sourceText(rank.Source), fmt.Sprint(rank.Conns), fmt.Sprintf("%.2f", rank.Load1), fmt.Sprintf("%.2f", rank.Load5),
			fmt.Sprintf("%.2f", rank.Load15), fmt.Sprint(rank.Unproven), secondsText(rank.Oldest.Seconds()), percent(rank.Share, 1),
			blameNumber(rank.Blame),
		})
	}
	u.table([]string{"SOURCE", " CONNS", " LOAD1", " LOAD5", " LOAD15", " UNPROVEN", " OLDEST", " SHARE", " BLAME"}, rows)
	u.more(n, len(r.Ranks), " sources of it")
}

// openConns lists what is open, the oldest first.
func (u *ui) openConns(s *app.Seen, most int) {
	if len(s.Open) == 0 {
		return
	}
	u.print("  Open at the end:")
	n := shown(len(s.Open), most)
	for _, c := range s.Open[:n] {
		what := "unproven"
		if c.Proven {
			what = "proven"
		}
		u.row("    %s", strings.TrimSpace(fmt.Sprintf("%s  %s  since %s  %s  %s", c.Client, c.Service, whenText(c.Since), what, c.Line)))
	}
	u.more(n, len(s.Open), " open")
}

// effect says what a ban would have changed.
func (u *ui) effect(r *app.SourceReport) {
	e := r.Effect
	if e == nil {
		return
	}
	u.print("")
	d := &e.Diagnosis
	if len(e.Suspects) == 0 || !averts(d.Together.Averted) {
		u.paragraph("", "  ", "A ban of it alone would have averted none of the %d refusals of %s, %s.", e.Refused, e.Pool, spanText(e.From, e.To))
		return
	}
	u.paragraph("", "  ", "A ban of it alone would have averted %d of %s%s by %s, %s. overstay why says on what assumptions.",
		d.Together.Averted.Median, othersText(d), inBrackets(spreadText(d.Together.Averted)), e.Pool, spanText(e.From, e.To))
}

// netEffect says what a ban of the net around it would have changed.
func (u *ui) netEffect(r *app.SourceReport) {
	if r.NetEffect == nil {
		return
	}
	d := &r.NetEffect.Diagnosis
	averted := "none"
	if averts(d.Together.Averted) {
		averted = fmt.Sprint(d.Together.Averted.Median)
	}
	u.paragraph("", "  ", "It is in %s, which the policies find: a ban of that net would have averted %s of %s%s.",
		sourceText(r.Net), averted, othersText(d), inBrackets(spreadText(d.Together.Averted)))
}

// othersText names the refusals of others, and those of the replay where these
// are not as many.
func othersText(d *loss.Diagnosis) string {
	text := fmt.Sprintf("the %d refusals of others", d.Refused.Median)
	if d.Refused.Median != int64(d.Others) {
		text += fmt.Sprintf(" in the replay with nothing changed (%d in the log)", d.Others)
	}
	return text
}

// undecided tells what the policies decide about it on this log.
func (u *ui) undecided(r *app.SourceReport, most int) {
	u.print("")
	if len(r.Decisions) == 0 {
		u.print("No policy in force finds anything against it in this log.")
		return
	}
	if r.Allowed != nil {
		u.paragraph("", "  ", "What the policies in force find in this log: it would be banned, but is on the allow list.")
	} else {
		u.print("What the policies in force find in this log:")
	}
	u.decisions(r.Decisions, most)
}

func total[K comparable](counts map[K]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// tally writes what was counted, the most frequent first.
func tally[K ~string](counts map[K]uint64, name func(K) string) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b K) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	parts := make([]string, 0, len(keys))
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%d %s", counts[k], name(k)))
	}
	return strings.Join(parts, ", ")
}

func endText(e connlog.End) string {
	switch e {
	case connlog.EndClient:
		return "by the client"
	case connlog.EndServer:
		return "by the server, all said"
	case connlog.EndTimeout:
		return "because it was silent or slow"
	case connlog.EndReset:
		return "reset by the client"
	case connlog.EndBanned:
		return "by a ban"
	case connlog.EndShutdown:
		return "by the end of the server"
	case connlog.EndError:
		return "by an error"
	}
	return cmp.Or(string(e), "for no reason given")
}

func reasonText(r connlog.Reason) string {
	switch r {
	case connlog.RefuseBusy:
		return "as too busy"
	case connlog.RefuseSessions:
		return "with too many sessions"
	case connlog.RefuseBanned:
		return "as banned"
	}
	return cmp.Or(string(r), "for no reason given")
}

func failText(w connlog.What) string {
	switch w {
	case connlog.FailLogin:
		return "at a login"
	case connlog.FailCommand:
		return "at a command"
	case connlog.FailRecipient:
		return "at a recipient"
	case connlog.FailTLS:
		return "at TLS"
	case connlog.FailVirus:
		return "with a virus"
	}
	return cmp.Or(string(w), "for no reason given")
}
