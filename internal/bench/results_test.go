package main

import (
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
	for _, r := range rows {
		for _, f := range []figure{r.value, r.beside} {
			if f.bench == "" {
				continue
			}
			found := false
			for _, s := range suites {
				found = found || strings.HasPrefix(f.bench, s.pkg+".")
			}
			if !found {
				t.Errorf("%s: no suite measures %s", r.what, f.bench)
			}
		}
	}
}

func TestReached(t *testing.T) {
	atLeast := row{reach: 10, more: true}
	atMost := row{reach: 10}
	if !atLeast.reached(10) || atLeast.reached(9.9) || !atMost.reached(10) || atMost.reached(10.1) {
		t.Error("a row mistakes what it is to reach")
	}
}
