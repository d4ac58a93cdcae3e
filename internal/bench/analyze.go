package main

import (
	"slices"

	"overstay/connlog/formats"
)

// The least of what analyze is to read, in MB/s: of its own log on two cores,
// and of others' on one.
const (
	nativeRate  = 1200
	foreignRate = 150
	commonRate  = 275
)

// common are the logs that are to be read faster than others.
var common = []string{"postfix", "haproxy", "combined", "nginx-time"}

// analyzeRows are the rows of finished logs: the whole command first, then the
// parser of each format.
func analyzeRows() []row {
	native := func(tool string) figure { return figure{"internal/bench.Native", tool + "-MB/s"} }
	all := []row{
		{
			what:  "analyze a log, everything computed",
			value: native("ours"), unit: "MB/s", reach: nativeRate, more: true,
			beside: native("duckdb"), tool: "DuckDB's group-by",
		},
		{what: "analyze, beside a sum per source", value: native("ours"), unit: "MB/s", reach: nativeRate, more: true, beside: native("mawk"), tool: "mawk"},
		{what: "analyze, beside a count of lines", value: native("ours"), unit: "MB/s", reach: nativeRate, more: true, beside: native("wc"), tool: "wc -l"},
		{
			what:  "analyze, memory",
			value: figure{"internal/bench.Native", "ours-MB"}, unit: "MB", reach: 300,
			beside: figure{"internal/bench.Native", "duckdb-MB"}, tool: "DuckDB",
		},
		{
			what:  "analyze, for a second of a core",
			value: figure{"internal/bench.Native", "ours-MB/cpu-s"}, unit: "MB", reach: nativeRate / 2, more: true,
			beside: figure{"internal/bench.Native", "duckdb-MB/cpu-s"}, tool: "DuckDB",
		},
		{
			what:  "analyze a log of an attack, with its causes, memory",
			value: figure{"internal/bench.Attacked", "ours-MB"}, unit: "MB", reach: 300,
		},
		{
			what:  "the same, speed",
			value: figure{"internal/bench.Attacked", "ours-MB/s"}, unit: "MB/s", reach: 100, more: true,
		},
		{
			what:  "analyze Postfix, HAProxy and nginx, two cores",
			value: figure{"internal/bench.Three", "ours-MB/s"}, unit: "MB/s", reach: 545, more: true,
			beside: figure{"internal/bench.Three", "mawk-MB/s"}, tool: "mawk, lines per source",
		},
	}
	for _, f := range []struct{ name, tool, called string }{
		{"postfix", "fail2ban", "fail2ban-regex"}, {"haproxy", "mawk", "mawk, lines per source"}, {"nginx", "goaccess", "GoAccess"},
	} {
		of := func(unit string) figure { return figure{"internal/bench.Foreign/" + f.name, unit} }
		all = append(all,
			row{
				what:  "analyze " + f.name + ", for a second of a core",
				value: of("ours-MB/cpu-s"), unit: "MB", reach: commonRate, more: true,
				beside: of(f.tool + "-MB/cpu-s"), tool: f.called,
			},
			row{what: "analyze " + f.name + ", memory", value: of("ours-MB"), unit: "MB", reach: 300})
	}
	for _, f := range formats.All() {
		if f.Name == "syslog" {
			continue // It is one of the others, line by line.
		}
		r := row{
			what:  "parse " + f.Name + ", one core",
			value: figure{"connlog/formats.Parse/" + f.Name, "MB/s"}, unit: "MB/s", reach: foreignRate, more: true,
		}
		if slices.Contains(common, f.Name) {
			r.reach = commonRate
		}
		all = append(all, r)
	}
	return all
}
