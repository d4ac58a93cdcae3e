package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // The scripts change the zone.

	"github.com/rogpeppe/go-internal/testscript"

	"overstay/connlog"
	"overstay/internal/traffic"
)

var update = flag.Bool("update", false, "write testdata/logs anew")

// commandEnv makes the test binary the command, for tests that kill it.
const commandEnv = "OVERSTAY_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		main()
	}
	testscript.Main(inUTC{m}, map[string]func(){"overstay": main, "scenario": scenario})
}

// inUTC runs the tests of this process with UTC as the local zone, set before
// any of them: every time.Now reads it, in whatever goroutine.
type inUTC struct{ *testing.M }

func (m inUTC) Run() int {
	time.Local = time.UTC
	return m.M.Run()
}

// scenario writes the log of one of the traffic's scenarios to standard output:
// scenario NAME SEED. Of a test binary that is called by this name it is all
// that happens, which is of use at a terminal too.
func scenario() {
	if err := writeScenario(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

func writeScenario(w io.Writer, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: scenario NAME SEED")
	}
	seed, err := strconv.ParseUint(arguments[1], 10, 64)
	if err != nil {
		return err
	}
	var known []string
	for _, s := range traffic.Scenarios() {
		if known = append(known, s.Name); s.Name != arguments[0] {
			continue
		}
		sim := s.Simulation(seed)
		events, err := sim.Events()
		if err != nil {
			return err
		}
		out := bufio.NewWriter(w)
		for e := range events {
			if _, err := out.Write(append(connlog.Append(nil, e), '\n')); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	return fmt.Errorf("no scenario %q; there are: %s", arguments[0], strings.Join(known, " "))
}

// TestScripts runs sessions of the real command.
func TestScripts(t *testing.T) {
	logs, err := filepath.Abs("../../testdata/logs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			if err := writeAttack(env.WorkDir); err != nil {
				return err
			}
			env.Setenv("LOGS", logs)
			env.Setenv("TZ", "UTC")
			// The race detector would let each process sleep for a second.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

// TestSampleLogIsWhatTheSimulationWrites keeps the sample true to the schema:
// a minute of a small server, attacked by three slow holders.
func TestSampleLogIsWhatTheSimulationWrites(t *testing.T) {
	const path = "../../testdata/logs/holders.log"
	sim := traffic.Simulation{
		Seed: 1, Length: time.Minute,
		Begin:    time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		Services: []traffic.Service{{Name: traffic.WWW, Threads: 20}},
		Groups: []traffic.Group{
			{Name: "customers", Kind: traffic.Ordinary, Service: traffic.WWW, Every: 3 * time.Second, Hold: 40 * time.Millisecond,
				Sources: traffic.Addresses(netip.MustParseAddr("192.0.2.1"), 5)},
			{Name: "holders", Kind: traffic.Holding, Service: traffic.WWW, Attacker: true, Every: time.Second,
				Sources: []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8:0:7::1")}, Clients: 8, From: 10 * time.Second},
		},
	}
	events, err := sim.Events()
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for e := range events {
		want = append(connlog.Append(want, e), '\n')
	}
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the simulation writes: run this test with -update, and look at what changed", path)
	}
}

// writeAttack writes two minutes of the scenario of a slow holder to
// attack.log, and its halves to a.log and b.log.
func writeAttack(folder string) error {
	var log bytes.Buffer
	if err := writeScenario(&log, []string{"slow-holder", "1"}); err != nil {
		return err
	}
	part := func(from, to string) []byte {
		var lines []byte
		for line := range bytes.Lines(log.Bytes()) {
			if at := string(line[len(`{"time":"2026-01-01T`):][:len("00:00:00")]); from <= at && at < to {
				lines = append(lines, line...)
			}
		}
		return lines
	}
	a, b := part("00:00:00", "00:01:20"), part("00:01:20", "00:02:00")
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "attack.log"), slices.Concat(a, b), 0o600),
		os.WriteFile(filepath.Join(folder, "a.log"), a, 0o600), os.WriteFile(filepath.Join(folder, "b.log"), b, 0o600))
}

// session runs one command as main does.
func session(ctx context.Context, arguments ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, arguments, bytes.NewReader(nil), &out, &err)
	return code, out.String(), err.String()
}
