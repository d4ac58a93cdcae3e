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
	"runtime"
	"strings"
	"text/tabwriter"
)

func main() {
	if err := run(os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(out, progress io.Writer) error {
	measured := results{}
	for _, s := range suites {
		fmt.Fprintf(progress, "%s %s\n", s.pkg, s.bench)
		text, err := s.run()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.pkg, err, text)
		}
		if err := measured.read(s.pkg, bytes.NewReader(text)); err != nil {
			return err
		}
	}
	return printTable(out, measured)
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

func (s suite) run() ([]byte, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", s.bench, "-benchtime", s.benchtime, "-benchmem", "./"+s.pkg)
	return cmd.CombinedOutput()
}

func printTable(out io.Writer, measured results) error {
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
