package main

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// results holds what benchmarks printed: by package and name, a value for each
// unit.
type results map[string]map[string]float64

// procs is the number of processors that go test puts behind a name.
var procs = regexp.MustCompile(`-\d+$`)

// read takes in the output of go test -bench for one package.
func (r results) read(pkg string, text io.Reader) error {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(f[1]); err != nil {
			continue // The heading of a benchmark's own log.
		}
		name := pkg + "." + procs.ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), "")
		values := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return err
			}
			values[f[i+1]] = v
		}
		r[name] = values
	}
	return lines.Err()
}

// get returns one value of one benchmark.
func (r results) get(f figure) (float64, bool) {
	v, ok := r[f.bench][f.unit]
	return v, ok
}
