package main

import (
	"slices"
	"strings"
	"testing"
)

func TestReadsWhatGoTestPrints(t *testing.T) {
	const text = `goos: linux
pkg: overstay/connlog
BenchmarkParse/native-2         	 6011612	       186.2 ns/op	1164.30 MB/s	       0 B/op	       0 allocs/op
BenchmarkReaction/one_process-2 	    1000	        10.68 max-ms	         1.634 p50-ms	         6.806 p99-ms
--- BENCH: BenchmarkReaction/one_process-2
    reaction_bench_test.go:113: under 250µs      0
PASS
`
	r := results{}
	if err := r.read("connlog", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	for f, want := range map[figure]float64{
		{"connlog.Parse/native", "MB/s"}:           1164.3,
		{"connlog.Parse/native", "allocs/op"}:      0,
		{"connlog.Reaction/one_process", "p99-ms"}: 6.806,
	} {
		if got, ok := r.get(f); !ok || got != want {
			t.Errorf("%v is %v, %v, want %v", f, got, ok, want)
		}
	}
	if len(r) != 2 {
		t.Errorf("read %d benchmarks, want 2: %v", len(r), r)
	}
}

// TestEachRowNamesItsSuite finds rows that no suite measures.
func TestEachRowNamesItsSuite(t *testing.T) {
	for _, r := range slices.Concat(analyzeRows(), rows) {
		for _, f := range []figure{r.value, r.beside} {
			if f.bench == "" {
				continue
			}
			if !slices.ContainsFunc(suites, func(s suite) bool { return s.measures(row{value: f}) }) {
				t.Errorf("%s: no suite measures %s", r.what, f.bench)
			}
		}
	}
}

func TestWhatIsNotInstalledIsSaid(t *testing.T) {
	r := row{what: "x", value: figure{"p.X", "MB/s"}, unit: "MB/s", reach: 1, more: true, beside: figure{"p.X", "tool-MB/s"}, tool: "tool"}
	measured := results{"p.X": {"MB/s": 10}}
	if cells := r.cells(measured); cells[5] != "tool (not installed)" || cells[6] != "" {
		t.Errorf("%q", cells)
	}
	measured["p.X"]["tool-MB/s"] = 4
	if cells := r.cells(measured); cells[5] != "tool 4 MB/s" || cells[6] != "2.50x" {
		t.Errorf("%q", cells)
	}
}

func TestReached(t *testing.T) {
	atLeast := row{reach: 10, more: true}
	atMost := row{reach: 10}
	if !atLeast.reached(10) || atLeast.reached(9.9) || !atMost.reached(10) || atMost.reached(10.1) {
		t.Error("a row mistakes what it is to reach")
	}
}
