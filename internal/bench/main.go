// Command bench prints the table of speeds: each row is a benchmark of the
// repository, what it is to reach, and the tool beside it, measured in the same
// run on the same machine. Absolute figures belong to the machine; the ratios
// are what to compare.
//
// It only runs the benchmarks and reads what they print: what is measured, and
// how, stands with each benchmark in its package.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

func main() {
	var o options
	flags := pflag.NewFlagSet("bench", pflag.ExitOnError)
	flags.StringVar(&o.only, "only", "", "measure only rows that match this `pattern`")
	flags.IntVar(&o.megabytes, "mb", 1000, "`size` of the log that analyze is given, in MB; those of other servers are a part of it")
	_ = flags.Parse(os.Args[1:])
	if err := run(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	only      string
	megabytes int
}

func run(o options, out, progress io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(slices.Concat(analyzeRows(), rows), func(r row) bool { return !only.MatchString(r.what) })
	measured := results{}
	for _, s := range suites {
		if !slices.ContainsFunc(wanted, s.measures) {
			continue
		}
		fmt.Fprintf(progress, "%s %s\n", s.pkg, s.bench)
		text, err := s.run(o.megabytes)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.pkg, err, text)
		}
		if err := measured.read(s.pkg, bytes.NewReader(text)); err != nil {
			return err
		}
	}
	return printTable(out, wanted, measured)
}

// yardstick is how many MB a second encoding/json parsed where the goals of the
// design were set.
const yardstick = 100

// suite is one call of go test.
type suite struct {
	pkg       string
	bench     string // as -bench takes it
	benchtime string
}

func (s suite) run(megabytes int) ([]byte, error) {
	args := []string{"test", "-run", "^$", "-bench", s.bench, "-benchtime", s.benchtime, "-benchmem", "-timeout", "30m", "./" + s.pkg}
	if s.pkg == "internal/bench" {
		args = append(args, "-mb", strconv.Itoa(megabytes))
	}
	return exec.Command("go", args...).CombinedOutput()
}

// measures reports whether a row's value comes from the suite.
func (s suite) measures(r row) bool {
	name, ok := strings.CutPrefix(r.value.bench, s.pkg+".")
	if !ok {
		return false
	}
	name, _, _ = strings.Cut(name, "/")
	return slices.Contains(strings.Split(s.bench, "|"), "^Benchmark"+name+"$")
}

func printTable(out io.Writer, rows []row, measured results) error {
	fmt.Fprintf(out, "%s/%s, %d cores, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if here, ok := measured.get(figure{"connlog.Parse/encoding_json", "MB/s"}); ok {
		fmt.Fprintf(out, "What is to be reached was set on a machine where encoding/json parses %d MB/s; here it parses %.0f.\n\n", yardstick, here)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tMEASURED\tALLOCS\tTO REACH\t\tBESIDE\tRATIO")
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r.cells(measured), "\t"))
	}
	return w.Flush()
}
