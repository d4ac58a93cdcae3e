package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// mostMemory is what analyze may take, whatever it is given to read.
const mostMemory = 300 << 20

// known is a connection that has to be found beside whatever else there is.
const (
	knownSource = "203.0.113.9"
	knownOpen   = `{"time":"2026-11-23T14:21:50.104233Z","event":"open","boot":"b","seq":1,"service":"smtp","conn":1,"client_ip":"203.0.113.9","busy":1,"threads":100}` + "\n"
	knownClose  = `{"time":"2026-11-23T14:21:53.004675Z","event":"close","boot":"b","seq":2,"service":"smtp","conn":1,"client_ip":"203.0.113.9","held_us":2900442,"end":"client"}` + "\n"
)

// outcome is how a process ended.
type outcome struct {
	code           int // -1: by a signal
	memory         int64
	stdout, stderr string
	interrupted    bool
}

// analyzeApart runs analyze in a process of its own, and interrupts it when it
// has run for so long.
func analyzeApart(t *testing.T, patience time.Duration, arguments ...string) outcome {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"analyze", "--json", "--state", t.TempDir()}, arguments...)...)
	cmd.Env = append(os.Environ(), commandEnv+"=1", "GORACE=atexit_sleep_ms=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // How it ended is in its state.
		close(ended)
	}()
	o := outcome{}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	enough, kill := time.After(patience), time.After(patience+20*time.Second)
	for running := true; running; {
		select {
		case <-look.C:
			o.memory = max(o.memory, peakMemory(cmd.Process.Pid))
		case <-enough:
			o.interrupted = true
			_ = cmd.Process.Signal(os.Interrupt) // It may have ended.
		case <-kill:
			_ = cmd.Process.Signal(syscall.SIGQUIT) // It says what it is doing.
		case <-ended:
			running = false
		}
	}
	o.code, o.stdout, o.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	if strings.Contains(o.stderr, "goroutine ") {
		t.Fatalf("it panicked, or was deaf:\n%.3000s", o.stderr)
	}
	if o.memory > mostMemory && !raceOn {
		t.Errorf("it took %d MB", o.memory>>20)
	}
	return o
}

// peakMemory is the most that a process has had, 0 if it is gone.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}

// ranked are the sources of a ranking and its nets.
func ranked(t *testing.T, stdout string) (sources []string) {
	t.Helper()
	var a struct{ Ranking, Nets []struct{ Source string } }
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatalf("%v: %.500s", err, stdout)
	}
	for _, one := range append(a.Ranking, a.Nets...) {
		sources = append(sources, one.Source)
	}
	return sources
}

// packed is what a compressor makes of text.
func packed(t *testing.T, kind string, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	case "xz":
		w, err = xz.NewWriter(&out)
	default:
		t.Fatal(kind)
	}
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bzip2Zeros are 45 MB of zeros: there is no compressor for it here.
const bzip2Zeros = "425a6839314159265359c901b6c80158ab4020c00010000008200030cc0529a65248526c5492149e2ee48a70a12192036d90"

// bomb is a file of some MB, of which hundreds of times as much comes out.
func bomb(t *testing.T, kind string) []byte {
	t.Helper()
	if kind == "bzip2" {
		zeros, err := hex.DecodeString(bzip2Zeros)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Repeat(zeros, 2000)
	}
	return append(packed(t, kind, []byte(knownOpen+knownClose)), bytes.Repeat(packed(t, kind, make([]byte, 8<<20)), 4000)...)
}

// hugeWindow is a zstd frame that wants 512 MiB to be kept, and fills it: blocks
// of 128 KiB of the same byte (RFC 8878, 3.1.1).
func hugeWindow() []byte {
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 19 << 3}, bytes.Repeat([]byte{0x02, 0x00, 0x10, 'x'}, 8_000)...)
}

// hugeDictionary is an xz file that wants a dictionary of 4 GiB.
func hugeDictionary(t *testing.T) []byte {
	t.Helper()
	file := packed(t, "xz", []byte(knownOpen+knownClose))
	header := file[12 : 12+4*(int(file[12])+1)] // The .xz File Format, 3.1.
	at := bytes.Index(header, []byte{0x21, 0x01}) + 2
	header[at] = 40
	sum := crc32.ChecksumIEEE(header[:len(header)-4])
	copy(header[len(header)-4:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
	return file
}

func cutShort(file []byte) []byte { return file[:len(file)/2] }

// TestAnalyzeOfAHostileFile gives analyze files that are no logs, alone and
// beside a good one. It ends, in little memory, and finds what is in the other.
func TestAnalyzeOfAHostileFile(t *testing.T) {
	if raceOn {
		t.Skip("memory is measured without the race detector, and there is little else to see")
	}
	garbage := make([]byte, 8<<20)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	long := []byte(knownOpen + strings.Repeat("x", 100<<20) + "\n" + knownClose)
	ours := []byte(strings.Repeat(knownOpen+knownClose, 2000))
	gzipped := packed(t, "gzip", ours)
	files := []struct {
		name string
		text []byte
		// told is whether what there is in it has to be found.
		told bool
	}{
		{"binary garbage", garbage, false},
		{"line of 100 MB", long, true},
		{"100 MB without a newline", long[len(knownOpen) : 100<<20], false},
		{"nothing but newlines", bytes.Repeat([]byte("\n"), 32<<20), false},
		{"NUL", []byte(knownOpen + strings.Repeat("\x00", 1<<20) + "\n\x00\n" + knownClose), true},
		{"invalid UTF-8", []byte(knownOpen + "{\"time\":\"\xff\xfe\",\"event\":\"open\"}\n\xc3\x28\n" + knownClose), true},
		{"deep JSON", []byte(knownOpen + strings.Repeat(`{"a":[`, 1<<20) + "\n" + knownClose), true},
		{"mixed formats, mostly ours", append(ours[:len(ours):len(ours)], forgedLogs[0].lines+forgedLogs[1].lines...), true},
		{"mixed formats, mostly others", []byte(knownOpen + forgedLogs[0].lines + forgedLogs[1].lines + knownClose), false},
		{"cut off gzip", cutShort(packed(t, "gzip", ours)), false},
		{"gzip without its end", gzipped[:len(gzipped)-4], true},
		{"cut off zstd", cutShort(packed(t, "zstd", ours)), false},
		{"cut off xz", cutShort(packed(t, "xz", ours)), false},
		{"zstd with a window of 512 MiB", hugeWindow(), false},
		{"xz with a dictionary of 4 GiB", hugeDictionary(t), false},
	}
	good := filepath.Join(t.TempDir(), "good.log")
	goodLines := strings.ReplaceAll(strings.ReplaceAll(knownOpen+knownClose, "14:21", "15:21"), `"boot":"b"`, `"boot":"c"`)
	goodLines = strings.ReplaceAll(goodLines, knownSource, "203.0.113.10")
	if err := os.WriteFile(good, []byte(goodLines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hostile")
			if err := os.WriteFile(path, f.text, 0o600); err != nil {
				t.Fatal(err)
			}
			alone := analyzeApart(t, 30*time.Second, path)
			beside := analyzeApart(t, 30*time.Second, path, good)
			if alone.interrupted || beside.interrupted {
				t.Fatal("it took more than 30 seconds")
			}
			if alone.code != exitDone && alone.stderr == "" || beside.stdout == "" {
				t.Fatalf("alone: status %d, %s; beside another: status %d, %s", alone.code, alone.stderr, beside.code, beside.stderr)
			}
			sources := strings.Join(ranked(t, beside.stdout), " ")
			if !strings.Contains(sources, "203.0.113.10") || f.told && !strings.Contains(sources, knownSource+" ") || strings.Contains(sources, forgedSource) {
				t.Errorf("it found %s\n%s", sources, beside.stderr)
			}
			t.Logf("%d and %d MB; alone status %d, %.200s", alone.memory>>20, beside.memory>>20, alone.code, alone.stderr)
		})
	}
}

// TestAnalyzeOfABomb gives analyze files that have no end worth waiting for: it
// takes little memory, and ends when it is told to.
func TestAnalyzeOfABomb(t *testing.T) {
	if raceOn {
		t.Skip("memory is measured without the race detector, and there is little else to see")
	}
	for _, kind := range []string{"gzip", "zstd", "bzip2", "xz"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bomb")
			if err := os.WriteFile(path, bomb(t, kind), 0o600); err != nil {
				t.Fatal(err)
			}
			o := analyzeApart(t, 3*time.Second, path)
			t.Logf("%d MB, interrupted: %v, status %d, %.200s", o.memory>>20, o.interrupted, o.code, o.stderr)
			if o.interrupted && o.code == exitDone {
				t.Errorf("it was interrupted, and says that it is done")
			}
		})
	}
}
