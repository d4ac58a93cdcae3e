package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is mail for one server.
type load struct {
	address string
	rate    int // transactions a second; 0: as fast as they come
	senders int
	text    string
}

// outcome is what came of it.
type outcome struct {
	took   []time.Duration // by the transactions that went well, from when they were due
	errors int
	first  error
	length time.Duration
}

func (o *outcome) add(other outcome) {
	o.took = append(o.took, other.took...)
	o.errors += other.errors
	o.length += other.length
	if o.first == nil {
		o.first = other.first
	}
}

// perSecond is the rate that came of it.
func (o *outcome) perSecond() float64 { return float64(len(o.took)) / o.length.Seconds() }

// percentile expects took to be sorted.
func (o *outcome) percentile(p float64) time.Duration {
	if len(o.took) == 0 {
		return 0
	}
	return o.took[int(p/100*float64(len(o.took)-1))]
}

// send sends mail for so long. A transaction that cannot begin when it is due,
// because all senders are busy, counts from then: who waits, waits.
func (l load) send(ctx context.Context, length time.Duration) outcome {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	parts := make([]outcome, l.senders)
	start := time.Now()
	var next atomic.Int64
	var sending sync.WaitGroup
	for s := range parts {
		sending.Go(func() { parts[s] = l.sender(ctx, start, length, &next) })
	}
	sending.Wait()
	var all outcome
	for _, p := range parts {
		all.add(p)
	}
	all.length = time.Since(start)
	slices.Sort(all.took)
	return all
}

// sender takes one transaction after the other.
func (l load) sender(ctx context.Context, start time.Time, length time.Duration, next *atomic.Int64) (o outcome) {
	for ctx.Err() == nil {
		i := next.Add(1) - 1
		due := time.Now()
		if l.rate > 0 {
			after := time.Duration(i) * time.Second / time.Duration(l.rate)
			if after >= length {
				return o
			}
			due = start.Add(after)
		}
		if !sleepUntil(ctx, due) {
			return o
		}
		if err := transaction(l.address, int(i), l.text); err != nil {
			o.errors++
			if o.first == nil {
				o.first = err
			}
			continue
		}
		o.took = append(o.took, time.Since(due))
	}
	return o
}

func sleepUntil(ctx context.Context, due time.Time) bool {
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}
