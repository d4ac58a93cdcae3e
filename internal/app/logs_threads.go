package app

import (
	"fmt"
	"strconv"
	"strings"

	"overstay/connlog"
)

// Threads are the sizes of pools that a log does not tell.
type Threads struct {
	Each int            // of the pool of every service; 0: not known
	Of   map[string]int // of that of a service, by its name
}

// Set reads "200" or "smtp=200". It may be called for each of several.
func (t *Threads) Set(s string) error {
	service, number, named := strings.Cut(s, "=")
	if !named {
		number = s
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > maxThreads || named && service == "" {
		return fmt.Errorf("%q is not a number of threads such as 200 or smtp=200", s)
	}
	if !named {
		t.Each = n
		return nil
	}
	if t.Of == nil {
		t.Of = map[string]int{}
	}
	t.Of[service] = n
	return nil
}

// of returns the size of the pool of a service, 0 if it is not known.
func (t *Threads) of(service string) int {
	if n, ok := t.Of[service]; ok {
		return n
	}
	return t.Each
}

// sizes writes into the lines of a log what these do not tell: the size of the
// pool, and how much of it is held.
type sizes struct {
	threads Threads
	held    map[string]int
}

// newSizes returns nil where nothing is known.
func newSizes(t Threads) *sizes {
	if t.Each == 0 && len(t.Of) == 0 {
		return nil
	}
	return &sizes{threads: t, held: map[string]int{}}
}

// fill completes the next line of the log.
func (s *sizes) fill(e *connlog.Event) {
	switch e.Kind {
	case connlog.Open:
		if _, known := s.held[e.Service]; known || len(s.held) < maxServices {
			s.held[e.Service]++
		}
	case connlog.Close:
		s.held[e.Service] = max(s.held[e.Service]-1, 0)
		return
	case connlog.Refuse:
	default:
		return
	}
	n := s.threads.of(e.Service)
	if e.Threads != 0 || n == 0 {
		return
	}
	e.Threads = n
	if e.Busy == 0 {
		e.Busy = s.held[e.Service]
	}
}

const (
	// maxThreads are more than a pool has.
	maxThreads = 1 << 18
	// maxServices bounds what is counted: names come from a log.
	maxServices = 1024
)
