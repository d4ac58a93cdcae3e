package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a server has used so far, and what it has now.
type usage struct {
	Processor  time.Duration // of this process, in it and in the kernel for it
	Resident   int64         // octets; what the kernel keeps for sockets is not in it
	Heap       int64         // of it, what is in use
	Stacks     int64
	Goroutines int
}

// meter answers the questions that every server is asked.
type meter struct {
	role    string
	profile *os.File
}

// do answers "now", "settled" (what is left after a collection), and
// "profile FOLDER" and "profiled", between which it takes one.
func (m *meter) do(question string) (any, error) {
	verb, argument, _ := strings.Cut(question, " ")
	switch verb {
	case "now":
		return now(false)
	case "settled":
		// The pools of the library are emptied by the second collection.
		runtime.GC()
		debug.FreeOSMemory()
		return now(true)
	case "profile":
		f, err := os.Create(filepath.Join(argument, m.role+".cpu.pprof"))
		if err != nil {
			return nil, err
		}
		m.profile = f
		return true, pprof.StartCPUProfile(f)
	case "profiled":
		pprof.StopCPUProfile()
		return true, m.profile.Close()
	}
	return nil, fmt.Errorf("question %q", question)
}

func now(memory bool) (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	u := usage{Processor: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Goroutines: runtime.NumGoroutine()}
	if !memory {
		return u, nil // Looking would stop the server.
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Stacks = int64(m.HeapInuse), int64(m.StackInuse)
	var err error
	u.Resident, err = resident()
	return u, err
}

// resident returns how much memory this process has, as the kernel says.
func resident() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory there is")
}
