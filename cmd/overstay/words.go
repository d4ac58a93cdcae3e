package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"overstay/banlist"
	"overstay/internal/app"
)

// Everything that the commands say about bans, suggestions and rankings.

func (u *ui) newList(path string) {
	u.say("New list: %s", path)
}

// changed says what became of entries, also of those that were changed before
// err ended it, and returns err.
func (u *ui) changed(done string, bans []banlist.Ban, err error) error {
	if err != nil && len(bans) == 0 {
		return err
	}
	if u.json {
		return errors.Join(err, u.printJSON(orEmpty(bans)))
	}
	for i := range bans {
		b := &bans[i]
		switch done {
		case "banned":
			u.print("banned    %s  %s  (%s)", sourceText(b.Prefix), ends(b), servicesText(b))
		default:
			u.print("%-9s %s", done, sourceText(b.Prefix))
		}
	}
	if len(bans) == 0 {
		u.say("Nothing to do.")
	}
	return err
}

// stillBanned says that hosts are banned although a ban of them was lifted.
func (u *ui) stillBanned(p netip.Prefix, by *banlist.Ban) {
	source, net := sourceText(p), sourceText(by.Prefix)
	if by.Prefix == p {
		u.say("%s is still banned, by %s (%s).", source, by.ID, servicesText(by))
		return
	}
	u.say("%s is still banned, as part of %s (%s).", source, net, servicesText(by))
	u.say("  %s", insideHint(p, by.Prefix))
}

func (u *ui) bans(bans []banlist.Ban) error {
	if u.json {
		return u.printJSON(orEmpty(bans))
	}
	if len(bans) == 0 {
		u.say("No bans.")
		return nil
	}
	rows := make([][]string, 0, len(bans))
	for i := range bans {
		b := &bans[i]
		rows = append(rows, []string{
			sourceText(b.Prefix), string(b.State), ends(b), servicesText(b), b.Origin, b.Reason, b.ID,
		})
	}
	u.table([]string{"SOURCE", "STATE", "ENDS", "SERVICES", "BY", "REASON", "ID"}, rows)
	return nil
}

func (u *ui) suggestions(bans []banlist.Ban) error {
	if u.json {
		return u.printJSON(orEmpty(bans))
	}
	if len(bans) == 0 {
		u.say("No suggestion waits.")
		return nil
	}
	for i := range bans {
		b := &bans[i]
		u.print("%s  %s", sourceText(b.Prefix), b.ID)
		e, ok := evidenceOf(b)
		if !ok {
			u.row("  %s", cmp.Or(b.Reason, "no evidence was kept"))
			continue
		}
		u.row("  %s", headline(e))
		u.row("  ban for %s by policy %s; drops out %s", lengthText(b.Duration), e.Policy, whenText(b.Expires))
	}
	u.say("Approve or reject: overstay review approve|reject ID|ADDRESS|all. More: overstay review show ADDRESS")
	return nil
}

func (u *ui) evidence(bans []banlist.Ban) error {
	if u.json {
		return u.printJSON(orEmpty(bans))
	}
	for i := range bans {
		if i > 0 {
			u.print("")
		}
		u.oneEvidence(&bans[i])
	}
	return nil
}

// oneEvidence tells all that is known of one entry.
func (u *ui) oneEvidence(b *banlist.Ban) {
	u.fields(
		[2]string{"source", sourceText(b.Prefix)},
		[2]string{"id", b.ID},
		[2]string{"state", string(b.State)},
		[2]string{"decided", whenText(b.Decided)},
		[2]string{"by", b.Origin},
		[2]string{"reason", b.Reason},
		[2]string{"services", servicesText(b)},
		[2]string{"length", lengthText(b.Duration)},
	)
	e, ok := evidenceOf(b)
	if !ok {
		u.print("No evidence was kept.")
		return
	}
	for _, line := range evidenceWords(e) {
		u.paragraph("  ", "    ", "%s", line)
	}
}

func (u *ui) checked(addr netip.Addr, a banlist.Answer) error {
	if u.json {
		return u.printJSON(map[string]any{"address": addr, "banned": a.Blocked, "ban": a.Ban, "allowed": a.Allowed})
	}
	switch {
	case a.Blocked:
		u.print("%s is banned: %s, %s, %s, by %s (%s)", addr, sourceText(a.Ban.Prefix), ends(a.Ban), servicesText(a.Ban), a.Ban.Origin, a.Ban.ID)
	case a.Ban != nil && a.Allowed != nil:
		u.print("%s is let through: %s is on the allow list, though %s is banned", addr, sourceText(a.Allowed.Prefix), sourceText(a.Ban.Prefix))
	case a.Allowed != nil:
		u.print("%s is not banned, and cannot be: %s is on the allow list", addr, sourceText(a.Allowed.Prefix))
	default:
		u.print("%s is not banned", addr)
	}
	return nil
}

func (u *ui) history(steps []banlist.Transition) error {
	if u.json {
		return u.printJSON(orEmpty(steps))
	}
	if len(steps) == 0 {
		u.say("Nothing has happened.")
		return nil
	}
	rows := make([][]string, 0, len(steps))
	for _, s := range steps {
		rows = append(rows, []string{whenText(s.Time), sourceText(s.Prefix), cmp.Or(string(s.From), "-"), string(s.To), s.By, s.Reason, s.ID})
	}
	u.table([]string{"TIME", "SOURCE", "FROM", "TO", "BY", "REASON", "ID"}, rows)
	return nil
}

func (u *ui) allowances(all []banlist.Allowance) error {
	if u.json {
		return u.printJSON(orEmpty(all))
	}
	if len(all) == 0 {
		u.say("The allow list is empty.")
		return nil
	}
	rows := make([][]string, 0, len(all))
	for _, a := range all {
		rows = append(rows, []string{sourceText(a.Prefix), untilText(a.Expires), a.By, a.Note})
	}
	u.table([]string{"SOURCE", "ENDS", "BY", "NOTE"}, rows)
	return nil
}

// allowed says what became of the allow list, also before err, and returns err.
func (u *ui) allowed(prefixes []netip.Prefix, removed bool, lifted []banlist.Ban, err error) error {
	if err != nil && len(prefixes) == 0 {
		return err
	}
	if u.json {
		return errors.Join(err, u.printJSON(map[string]any{"prefixes": prefixes, "removed": removed, "lifted": orEmpty(lifted)}))
	}
	for _, p := range prefixes {
		if removed {
			u.print("no longer allowed  %s", sourceText(p))
		} else {
			u.print("allowed   %s", sourceText(p))
		}
	}
	for i := range lifted {
		u.print("lifted    %s", sourceText(lifted[i].Prefix))
	}
	return err
}

// top prints the pools and the ranking.
func (u *ui) top(v topView) {
	if len(v.Pools) == 0 {
		u.print("The log tells of no service yet.")
		return
	}
	for _, p := range v.Pools {
		u.print("%-8s %d of %d threads held   load %.2f %.2f %.2f   %.0f told too busy a minute   %s",
			p.Pool, p.Busy, p.Threads, p.Load1, p.Load5, p.Load15, p.Refused, p.At.Local().Format("15:04:05"))
	}
	u.print("")
	rows := make([][]string, 0, len(v.Sources))
	for _, r := range v.Sources {
		rows = append(rows, []string{
			r.Source, fmt.Sprint(r.Conns),
			fmt.Sprintf("%.2f", r.Load1), fmt.Sprintf("%.2f", r.Load5), fmt.Sprintf("%.2f", r.Load15),
			fmt.Sprint(r.Unproven), secondsText(r.OldestSeconds), fmt.Sprintf("%.0f %%", 100*r.Share),
			fmt.Sprintf("%.1f", r.Blame1), fmt.Sprintf("%.1f", r.Refused), fmt.Sprintf("%.1f", r.Fails),
		})
	}
	u.table([]string{"ADDRESS", " CONNS", " LOAD1", " LOAD5", " LOAD15", " UNPROVEN", " OLDEST", " SHARE", " BLAME", " REFUSED", " FAILS"}, rows)
	if v.Nets != nil {
		u.print("")
		u.nets(v.Nets)
	}
}

// nets prints the ranking of nets, whose threads several addresses share.
func (u *ui) nets(nets []rankView) {
	rows := make([][]string, 0, len(nets))
	for _, r := range nets {
		rows = append(rows, []string{
			r.Source, fmt.Sprint(r.Members), fmt.Sprint(r.Conns),
			fmt.Sprintf("%.2f", r.Load1), fmt.Sprintf("%.2f", r.Load5), fmt.Sprintf("%.2f", r.Load15),
			fmt.Sprint(r.Unproven), fmt.Sprintf("%.0f %%", 100*r.Share), fmt.Sprintf("%.1f", r.Blame1), fmt.Sprintf("%.1f", r.Fails),
		})
	}
	u.table([]string{"NET", " MEMBERS", " CONNS", " LOAD1", " LOAD5", " LOAD15", " UNPROVEN", " SHARE", " BLAME", " FAILS"}, rows)
}

func (u *ui) configGood(file string, cfg *app.Config) {
	u.print("%s can be used: %s, %s", file,
		count(len(cfg.Services), "service", "services"), count(len(cfg.ActivePolicies()), "policy", "policies"))
}

func (u *ui) version(v version) {
	u.print("overstay %s  %s %s  %s", v.Version, v.Go, v.Platform, v.Revision)
}

// sourceText writes a prefix, a single address without its length.
func sourceText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func servicesText(b *banlist.Ban) string {
	if len(b.Services) == 0 {
		return "all services"
	}
	return strings.Join(b.Services, ",")
}

// ends says until when an entry is in force.
func ends(b *banlist.Ban) string { return untilText(b.Expires) }

func untilText(t time.Time) string {
	if t.IsZero() {
		return "no end"
	}
	return "until " + whenText(t)
}

func whenText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// count writes a number of things: "1 line", "2 lines".
func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func lengthText(d time.Duration) string {
	if d == 0 {
		return "no end"
	}
	text, _ := app.Duration(d.Round(time.Second)).MarshalText() // Its error is always nil.
	return string(text)
}

// secondsText writes a time with two units at most.
func secondsText(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", s)
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// orEmpty makes a list that is nil print as [] and not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
