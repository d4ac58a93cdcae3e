package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"overstay/banlist"
	"overstay/detector"
)

// What the evidence of a decision says, in words.

// evidenceOf reads the evidence of a detector's decision.
func evidenceOf(b *banlist.Ban) (e detector.Evidence, ok bool) {
	if len(b.Evidence) == 0 || json.Unmarshal(b.Evidence, &e) != nil || e.Policy == "" {
		return detector.Evidence{}, false
	}
	return e, true
}

// holding tells what a source held, in a few words.
func holding(e detector.Evidence) string {
	if e.Open == 0 {
		return fmt.Sprintf("on %s, holding no thread just then", e.Pool)
	}
	if n := e.Net; n != nil && e.Level == detector.LevelNet {
		return fmt.Sprintf("%s held %d of the %d threads of %s (%d unproven, the oldest for %s)",
			membersText(n), e.Open, e.Threads, e.Pool, e.Unproven, secondsText(e.OldestS))
	}
	return fmt.Sprintf("held %d of the %d threads of %s (%d unproven, the oldest for %s)",
		e.Open, e.Threads, e.Pool, e.Unproven, secondsText(e.OldestS))
}

// membersText names the addresses of a net that held threads.
func membersText(n *detector.NetEvidence) string {
	return fmt.Sprintf("%s of %s", count(n.Members, "address", "addresses"), sourceText(n.Prefix))
}

// headline tells evidence in one sentence.
func headline(e detector.Evidence) string {
	parts := []string{holding(e)}
	if e.Open > 0 {
		parts[0] += fmt.Sprintf(" while %d were held", e.Busy)
	}
	if e.PoolRefused >= 0.5 {
		parts = append(parts, fmt.Sprintf("others were refused %.0f times a minute", e.PoolRefused))
	}
	if e.Blame1 >= 0.5 {
		parts = append(parts, fmt.Sprintf("%.0f of these were caused by it", e.Blame1))
	}
	if e.LoginsFailed >= 0.5 {
		parts = append(parts, fmt.Sprintf("failed %.0f logins a minute", e.LoginsFailed))
	}
	if e.Short >= 0.5 && e.Open == 0 {
		parts = append(parts, fmt.Sprintf("%.0f connections a minute that did nothing", e.Short))
	}
	return strings.Join(parts, "; ")
}

// evidenceWords tells evidence in sentences, one a line.
func evidenceWords(e detector.Evidence) []string {
	lines := []string{
		fmt.Sprintf("Policy %s: %s", e.Policy, strings.Join(strings.Fields(e.Condition), " ")),
	}
	if e.ForS > 0 {
		lines = append(lines, fmt.Sprintf("The condition had held for %s.", secondsText(e.ForS)))
	}
	if e.BanStorm {
		lines = append(lines, "There were too many bans within that minute, so this one waits for you.")
	}
	lines = append(lines, pastWords(e)...)
	lines = append(lines, heldWords(e)...)
	lines = append(lines, netWords(e)...)
	lines = append(lines, didWords(e)...)
	lines = append(lines, pressureWords(e)...)
	if len(e.Lines) > 0 {
		lines = append(lines, "In the log, as boot:seq: "+strings.Join(e.Lines, ", "))
	}
	return lines
}

// it is what the evidence is about.
func it(e detector.Evidence) string {
	if e.Level == detector.LevelNet {
		return "The net"
	}
	return "It"
}

// pastWords tell of earlier bans.
func pastWords(e detector.Evidence) []string {
	var lines []string
	if e.EarlierBans > 0 {
		lines = append(lines, fmt.Sprintf("%s was banned %s before, so this ban is longer.", it(e), count(e.EarlierBans, "time", "times")))
	} else if e.HistoryBans > 0 {
		lines = append(lines, fmt.Sprintf("%s was banned %s before.", it(e), count(e.HistoryBans, "time", "times")))
	}
	if e.HistoryReturns > 0 {
		lines = append(lines, fmt.Sprintf("%d of these came within an hour of the end of the ban before: it waits for that end.", e.HistoryReturns))
	}
	return lines
}

// heldWords tell what it held.
func heldWords(e detector.Evidence) []string {
	lines := []string{fmt.Sprintf("%s held %d of the %d threads of %s (%.0f %%), %d of them unproven; %d were held in all.",
		it(e), e.Open, e.Threads, e.Pool, 100*e.Share, e.Unproven, e.Busy)}
	if e.Open > 0 {
		line := fmt.Sprintf("Its oldest connection was open for %s", secondsText(e.OldestS))
		if e.Unproven > 0 {
			line += fmt.Sprintf(", its unproven ones for %s on average", secondsText(e.UnprovenMean))
		}
		lines = append(lines, line+".")
	}
	lines = append(lines, fmt.Sprintf("Load over 1, 5, 15 minutes: %.2f %.2f %.2f threads; unproven: %.2f %.2f %.2f.",
		e.Load1, e.Load5, e.Load15, e.UnprovenLoad1, e.UnprovenLoad5, e.UnprovenLoad15))
	if e.ThreadSeconds > 0 {
		lines = append(lines, fmt.Sprintf("Since %s it held %.0f thread-seconds.", whenText(e.FirstSeen), e.ThreadSeconds))
	}
	return lines
}

// netWords tell of the net around a source, or of the net that was found.
func netWords(e detector.Evidence) []string {
	n := e.Net
	if n == nil {
		return nil
	}
	lines := []string{fmt.Sprintf("%s held %d threads (%.0f %%), load %.2f %.2f %.2f; %s held %d unproven ones, %d without the loudest.",
		membersText(n), n.Open, 100*n.Share, n.Load1, n.Load5, n.Load15,
		count(n.UnprovenMembers, "of them", "of them"), n.Unproven, n.Others)}
	if e.Level == detector.LevelNet && n.Within > 0 && n.Part > 0 && n.Part < 1 {
		lines = append(lines, fmt.Sprintf("What was found is narrower: %s in it had %.0f %% of the net's load.",
			count(n.Within, "address", "addresses"), 100*n.Part))
	}
	return lines
}

// didWords tell what it did, and what it did not do.
func didWords(e detector.Evidence) []string {
	lines := []string{fmt.Sprintf("A minute: %.1f connections, %.1f proven, %.1f failures (%.1f logins), %.1f refused.",
		e.Opens, e.Proven, e.Fails, e.LoginsFailed, e.Refused)}
	if e.Short >= 0.5 {
		lines = append(lines, fmt.Sprintf("%.0f connections a minute ended within a second, nothing done.", e.Short))
	}
	if e.Proven < 0.01 && e.Proven15 < 0.01 && e.Opens > 0 {
		lines = append(lines, "None of its connections of the last quarter of an hour did what a real client does.")
	}
	if e.Opens24h >= 1 {
		line := fmt.Sprintf("In 24 hours: %s (%.0f in the last hour)", count(whole(e.Opens24h), "connection", "connections"), e.Opens1h)
		if e.ByMessage24h >= 1 {
			line += fmt.Sprintf(", %s with mail", count(whole(e.ByMessage24h), "one", "ones"))
		}
		if e.LoginsFailed24h >= 1 {
			line += ", " + count(whole(e.LoginsFailed24h), "failed login", "failed logins")
		}
		lines = append(lines, line+".")
	}
	return lines
}

// whole is a count that the evidence has as a number.
func whole(x float64) uint64 {
	if !(x > 0) {
		return 0
	}
	return uint64(math.Min(math.Round(x), 1<<53))
}

// pressureWords tell what others suffered.
func pressureWords(e detector.Evidence) []string {
	line := fmt.Sprintf("The pool refused %.1f connections a minute for want of a thread", e.PoolRefused)
	switch {
	case e.Blame1 >= 0.05:
		line += fmt.Sprintf(", %.1f of them by its fault; since it was first seen it caused %s refusals", e.Blame1, blameNumber(e.Blame))
	case e.Blame >= 0.05:
		line += fmt.Sprintf("; since it was first seen it caused %s refusals", blameNumber(e.Blame))
	}
	lines := []string{line + "."}
	if e.ScanWait >= 0.1 {
		lines = append(lines, fmt.Sprintf("Messages waited %s for a virus scanner.", secondsText(e.ScanWait)))
	}
	return lines
}
