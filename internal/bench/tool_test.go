package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

var megabytes = flag.Int64("mb", 1000, "`size` of the logs that are made up, in MB")

// logSize is how large a log is, given how large it ought to be beside one of
// a GB.
func logSize(mb int64) int64 {
	if testing.Short() {
		return 4e6
	}
	return max(mb**megabytes/1000*1e6, 1e6)
}

// used is what one run of a program took.
type used struct {
	wall, cpu time.Duration
	memory    int64 // bytes, at most
}

// tool is a program that reads a log.
type tool struct {
	name string
	size int64 // of what it reads
	make func() *exec.Cmd
	best used
}

// command is a tool that is told of its log as its last argument. It is nil if
// it is not installed, so that it is not run.
func command(name string, size int64, program string, args ...string) *tool {
	if _, err := exec.LookPath(program); err != nil {
		return nil
	}
	return &tool{name: name, size: size, make: func() *exec.Cmd { return exec.Command(program, args...) }}
}

// foundAttack is the status of analyze that found what it looks for.
const foundAttack = 3

// run runs it once more and keeps the better figures. What it prints has to be
// something.
func (t *tool) run(b *testing.B) {
	b.Helper()
	cmd := t.make()
	begun := time.Now()
	out, err := cmd.Output()
	wall := time.Since(begun)
	if (err != nil && cmd.ProcessState.ExitCode() != foundAttack) || len(out) == 0 {
		b.Fatalf("%s: %v, %d bytes: %s", t.name, err, len(out), tail(err))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	now := used{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss << 10}
	if t.best.wall == 0 {
		t.best = now
	}
	t.best = used{min(t.best.wall, now.wall), min(t.best.cpu, now.cpu), max(t.best.memory, now.memory)}
}

// tail is what a program said before it failed.
func tail(err error) []byte {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Stderr
	}
	return nil
}

// together runs the tools in turns, so that whatever else the machine does is
// the same to all, and reports the best of each: its name in the unit.
func together(b *testing.B, tools ...*tool) {
	b.Helper()
	for b.Loop() {
		for _, t := range tools {
			if t != nil {
				t.run(b)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, t := range tools {
		if t == nil {
			continue
		}
		b.ReportMetric(float64(t.size)/1e6/t.best.wall.Seconds(), t.name+"-MB/s")
		b.ReportMetric(float64(t.size)/1e6/t.best.cpu.Seconds(), t.name+"-MB/cpu-s")
		b.ReportMetric(float64(t.best.memory)/1e6, t.name+"-MB")
	}
}

// overstay builds the program that is measured.
func overstay(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "overstay")
	if out, err := exec.Command("go", "build", "-o", path, "overstay/cmd/overstay").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

// analyze is our own tool.
func analyze(name string, size int64, program string, args ...string) *tool {
	return command(name, size, program, append([]string{"analyze", "--json"}, args...)...)
}

// duckdb builds what stands beside us in a module of its own. It is nil where
// that cannot be built.
func duckdb(b *testing.B, size int64, log string) *tool {
	b.Helper()
	if testing.Short() || runtime.GOOS != "linux" {
		return nil // Its libraries are larger than all of the rest.
	}
	path := filepath.Join(b.TempDir(), "duckdb")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "duckdb"
	if out, err := build.CombinedOutput(); err != nil {
		b.Logf("DuckDB is not built: %v\n%s", err, out)
		return nil
	}
	return command("duckdb", size, path, log)
}

// inTemporary is where a log of the benchmark is written; it is gone with it.
func inTemporary(b *testing.B, name string) string {
	b.Helper()
	folder, err := os.MkdirTemp("", "overstay-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, name)
}
