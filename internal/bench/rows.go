package main

import "fmt"

// figure names one value that a benchmark prints.
type figure struct {
	bench string // package.Name/sub
	unit  string
}

// row is one line of the table.
type row struct {
	what  string
	value figure
	scale float64 // of the value in the table; 0 is 1
	unit  string  // in the table
	reach float64 // at most, or at least if more is set; in the table's unit
	more  bool

	beside figure // of the tool beside it, if it is measured here
	tool   string // its name, or what is known of it
}

func (r row) scaled(v float64) float64 {
	if r.scale == 0 {
		return v
	}
	return v * r.scale
}

func (r row) reached(v float64) bool {
	if r.more {
		return v >= r.reach
	}
	return v <= r.reach
}

// cells returns the row's line: what was not measured is said, not left out.
func (r row) cells(measured results) []string {
	bound := "at most"
	if r.more {
		bound = "at least"
	}
	goal := fmt.Sprintf("%s %.4g %s", bound, r.reach, r.unit)
	v, ok := measured.get(r.value)
	if !ok {
		return []string{r.what, "not measured", "", goal, "NO", r.tool, ""}
	}
	v = r.scaled(v)
	verdict := "yes"
	if !r.reached(v) {
		verdict = "NO"
	}
	allocs := ""
	if n, ok := measured.get(figure{r.value.bench, "allocs/op"}); ok {
		allocs = fmt.Sprint(n)
	}
	tool, ratio := r.tool, ""
	if b, ok := measured.get(r.beside); r.beside.bench != "" && !ok {
		tool += " (not installed)"
	} else if ok && b != 0 {
		b = r.scaled(b)
		tool = fmt.Sprintf("%s %.4g %s", r.tool, b, r.unit)
		ratio = fmt.Sprintf("%.2fx", v/b)
	}
	return []string{r.what, fmt.Sprintf("%.4g %s", v, r.unit), allocs, goal, verdict, tool, ratio}
}

// suites are what is run, in this order.
var suites = []suite{
	{"internal/bench", "^BenchmarkNative$|^BenchmarkAttacked$", "3x"},
	{"internal/bench", "^BenchmarkForeign$|^BenchmarkThree$", "3x"},
	{"connlog/formats", "^BenchmarkParse$", "1s"},
	{"connlog", "^BenchmarkParse$|^BenchmarkAppend$|^BenchmarkWriter$", "1s"},
	{"connlog", "^BenchmarkCatchUp$|^BenchmarkFollowLatency$", "2s"},
	{"detector", "^BenchmarkObserve$", "2s"},
	{"detector", "^BenchmarkSourcesMemory$", "1x"},
	{"detector", "^BenchmarkDay$", "3x"},
	{"detector/loss", "^BenchmarkDiagnose$", "1x"},
	{"banlist", "^BenchmarkBlocked$", "1s"},
	{"banlist", "^BenchmarkRestore$", "3x"},
	{"banlist", "^BenchmarkDecide$|^BenchmarkNotice$", "300x"},
	{"server", "^BenchmarkTurnAway$", "10x"},
	{"server", "^BenchmarkBurst$", "10x"},
	{"internal/app", "^BenchmarkReaction$", "1000x"},
	{"internal/soak", "^BenchmarkSoak$", "1x"},
}

// rows are the rows of section 10 of the design that exist by now, those of
// the whole server, and those of analyze in analyze.go.
var rows = []row{
	{
		what:  "parse one line, native order",
		value: figure{"connlog.Parse/native", "MB/s"}, unit: "MB/s", reach: 1000, more: true,
		beside: figure{"connlog.Parse/encoding_json", "MB/s"}, tool: "encoding/json",
	},
	{
		what:  "parse one line, any order",
		value: figure{"connlog.Parse/any_order", "MB/s"}, unit: "MB/s", reach: 800, more: true,
		beside: figure{"connlog.Parse/encoding_json", "MB/s"}, tool: "encoding/json",
	},
	{
		what:  "append one line",
		value: figure{"connlog.Append/open", "ns/op"}, unit: "ns", reach: 150,
	},
	{
		what:  "write one line",
		value: figure{"connlog.Writer/line", "ns/op"}, unit: "ns", reach: 700,
		beside: figure{"connlog.Writer/slog_line", "ns/op"}, tool: "log/slog",
	},
	{
		what:  "write the lines of one connection",
		value: figure{"connlog.Writer/connection", "ns/op"}, unit: "ns", reach: 2000,
	},
	{
		what:  "follow a log that is behind",
		value: figure{"connlog.CatchUp/follow", "lines/s"}, scale: 1e-3, unit: "k lines/s", reach: 500, more: true,
		beside: figure{"connlog.CatchUp/tail_alone", "lines/s"}, tool: "nxadm/tail",
	},
	{
		what:  "follow live, 100,000 lines/s, p50",
		value: figure{"connlog.FollowLatency/100k", "p50-µs"}, unit: "µs", reach: 1000,
	},
	{
		what:  "follow live, 100,000 lines/s, p99",
		value: figure{"connlog.FollowLatency/100k", "p99-µs"}, unit: "µs", reach: 1000,
	},
	{
		what:  "observe one event, 100,000 sources",
		value: figure{"detector.Observe/zipf", "ns/line"}, unit: "ns", reach: 250,
	},
	{
		what:  "observe one event, every source as likely",
		value: figure{"detector.Observe/even", "ns/line"}, unit: "ns", reach: 250,
	},
	{
		what:  "memory of 100,000 sources",
		value: figure{"detector.SourcesMemory/mail", "MB"}, unit: "MB", reach: 40,
	},
	{
		what:  "a day of 800,000 connections, with policies",
		value: figure{"detector.Day", "s/day"}, unit: "s", reach: 1,
	},
	{
		what:  "diagnosis of 1,000,000 arrivals",
		value: figure{"detector/loss.Diagnose/plain", "ns/op"}, scale: 1e-9, unit: "s", reach: 2,
	},
	{
		what:  "the same, half of them scanned",
		value: figure{"detector/loss.Diagnose/scanners", "ns/op"}, scale: 1e-9, unit: "s", reach: 2,
	},
	{
		what:  "ban check at 100,000 bans, banned",
		value: figure{"banlist.Blocked/bans=100000/hit4", "ns/op"}, unit: "ns", reach: 100,
		beside: figure{"banlist.Blocked/bans=100000/hit4/bare", "ns/op"}, tool: "bart alone",
	},
	{
		what:  "ban check at 100,000 bans, not banned",
		value: figure{"banlist.Blocked/bans=100000/miss4", "ns/op"}, unit: "ns", reach: 100,
		beside: figure{"banlist.Blocked/bans=100000/miss4/bare", "ns/op"}, tool: "bart alone",
	},
	{
		what:  "ban check at 1,000,000 bans, banned",
		value: figure{"banlist.Blocked/bans=1000000/hit4", "ns/op"}, unit: "ns", reach: 200,
		beside: figure{"banlist.Blocked/bans=1000000/hit4/bare", "ns/op"}, tool: "bart alone",
	},
	{
		what:  "ban check at 1,000,000 bans, IPv6",
		value: figure{"banlist.Blocked/bans=1000000/hit6", "ns/op"}, unit: "ns", reach: 200,
		beside: figure{"banlist.Blocked/bans=1000000/hit6/bare", "ns/op"}, tool: "bart alone",
	},
	{
		what:  "accept and close for a ban, against without us",
		value: figure{"server.TurnAway/banned", "ours/bare"}, unit: "x", reach: 1.15,
		beside: figure{}, tool: "accept + close",
	},
	{
		what:  "accept and close as too busy, against without us",
		value: figure{"server.TurnAway/busy", "ours/bare"}, unit: "x", reach: 1.15,
		beside: figure{}, tool: "accept + close",
	},
	{
		what:  "line to freed threads, one process, p50",
		value: figure{"internal/app.Reaction/one_process", "p50-ms"}, unit: "ms", reach: 1,
		tool: "sshguard 4.4 ms, fail2ban 215 ms, to a firewall rule (not measured here)",
	},
	{
		what:  "line to freed threads, one process, p99",
		value: figure{"internal/app.Reaction/one_process", "p99-ms"}, unit: "ms", reach: 5,
	},
	{
		what:  "line to freed threads, two processes, p99",
		value: figure{"internal/app.Reaction/two_processes", "p99-ms"}, unit: "ms", reach: 10,
	},
	{
		what:  "restore 100,000 bans",
		value: figure{"banlist.Restore/bans=100000", "ns/op"}, scale: 1e-9, unit: "s", reach: 0.1,
	},
	{
		what:  "restore 1,000,000 bans",
		value: figure{"banlist.Restore/bans=1000000", "ns/op"}, scale: 1e-9, unit: "s", reach: 0.6,
	},
	{
		what:  "an answer while 2,000 connections are refused, against in peace",
		value: figure{"server.Burst", "burst/calm"}, unit: "x", reach: 1.2,
	},
	{
		what:  "the same, against while a bare accept loop closes them",
		value: figure{"server.Burst", "burst/bare"}, unit: "x", reach: 1.2,
	},
	{
		what:  "memory of an idle session, smtp",
		value: figure{"internal/soak.Soak", "smtp-KB"}, unit: "KB", reach: 24,
		beside: figure{"internal/soak.Soak", "library-smtp-KB"}, tool: "go-smtp alone",
	},
	{
		what:  "memory of an idle session, imap, logged in",
		value: figure{"internal/soak.Soak", "imap-KB"}, unit: "KB", reach: 24,
		beside: figure{"internal/soak.Soak", "library-imap-KB"}, tool: "go-imap alone",
	},
	{
		what:  "processor time of a mail transaction, synced to the disk",
		value: figure{"internal/soak.Soak", "µs"}, unit: "µs", reach: 1500,
		beside: figure{"internal/soak.Soak", "library-µs"}, tool: "go-smtp that forgets the mail",
	},
	{
		what:  "the same, against go-smtp with the same Maildirs",
		value: figure{"internal/soak.Soak", "ours/store"}, unit: "x", reach: 1.5,
		tool: "go-smtp and our Maildirs",
	},
}
