package main

import (
	"errors"
	"fmt"
	"os"
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
	Heap       int64         // what is in use of it
	Stacks     int64
	Goroutines int
}

// meter answers the questions that every server is asked.
type meter struct {
	profile *os.File
}

// do answers "now", "settled" (what is left after a collection), and "rest" when
// it is done with what was sent. It takes a
// profile of the processor's time between "profile FILE" and "profiled", and
// one of the memory with "memory FILE".
func (m *meter) do(question string) (any, error) {
	verb, argument, _ := strings.Cut(question, " ")
	switch verb {
	case "now":
		return now(false)
	case "rest":
		time.Sleep(settleTime) // What a connection leaves behind is its too.
		return true, nil
	case "settled":
		// The pools of the library are emptied by the second collection.
		runtime.GC()
		debug.FreeOSMemory()
		return now(true)
	case "profile":
		f, err := os.Create(argument)
		if err != nil {
			return nil, err
		}
		m.profile = f
		return true, pprof.StartCPUProfile(f)
	case "profiled":
		pprof.StopCPUProfile()
		return true, m.profile.Close()
	case "memory":
		return true, memory(argument)
	}
	return nil, fmt.Errorf("question %q", question)
}

// memory takes a profile of what is in use.
func memory(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

func now(all bool) (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, err
	}
	u := usage{Processor: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Goroutines: runtime.NumGoroutine()}
	if !all {
		return u, nil // Looking would stop the server.
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Stacks = int64(m.HeapAlloc), int64(m.StackInuse)
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
	kb, ok := sizeIn(string(text), "VmRSS:")
	if !ok {
		return 0, errors.New("the kernel does not say how much memory there is")
	}
	return kb << 10, nil
}

// sizeIn finds a line of /proc like "VmRSS: 123 kB".
func sizeIn(text, name string) (kb int64, ok bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			kb, err := strconv.ParseInt(f[1], 10, 64)
			return kb, err == nil
		}
	}
	return 0, false
}
