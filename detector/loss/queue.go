package loss

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Job is one message for the scanners.
type Job struct {
	At   time.Duration // when it asked for a scanner
	Work time.Duration // how long a scanner takes over it
}

// Waits are what jobs waited for a scanner.
type Waits struct {
	Scanners int           `json:"scanners"`
	Jobs     int           `json:"jobs"`
	Mean     time.Duration `json:"mean_ns"`
	Max      time.Duration `json:"max_ns"`
	Over     int           `json:"over"` // jobs that waited longer than the bound
}

// Queue sends jobs, which must be in order of time, through a queue that
// scanners serve first come, first served, and counts who waits longer than
// bound; what asked before the time 0 is served and not counted. With w
// the times at which the scanners are free, the earliest first, a job at t
// waits max(0, w1-t) and leaves w1 = max(w1, t) + work (the recursion of
// Kiefer and Wolfowitz, "On the Theory of Queues with Many Servers", 1955).
func Queue(jobs []Job, scanners int, bound time.Duration) Waits {
	w := Waits{Scanners: max(scanners, 1)}
	var free heap
	var sum float64
	for _, j := range jobs {
		wait := time.Duration(start(&free, w.Scanners, int64(j.At), int64(j.Work))) - j.At
		if j.At < 0 {
			continue
		}
		w.Jobs++
		sum += float64(wait)
		w.Max = max(w.Max, wait)
		if wait > bound {
			w.Over++
		}
	}
	if w.Jobs > 0 {
		w.Mean = time.Duration(sum / float64(w.Jobs))
	}
	return w
}

// ends adds without overflow.
func ends(start, work int64) int64 {
	if start > 0 && work > math.MaxInt64-start {
		return math.MaxInt64
	}
	return start + work
}

// ScannersFor is the queue with the least number of scanners in which all but
// the part late of the jobs wait no longer than bound. More scanners make no
// job wait longer, so bisection finds it.
func ScannersFor(jobs []Job, bound time.Duration, late float64) Waits {
	jobs = tidy(jobs)
	allowed := int(late * float64(Queue(jobs, 1, bound).Jobs))
	low, high := 1, max(overlap(jobs), 1)
	for low < high {
		mid := low + (high-low)/2
		if Queue(jobs, mid, bound).Over <= allowed {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return Queue(jobs, low, bound)
}

// tidy returns the jobs in order, with no times that cannot be.
func tidy(jobs []Job) []Job {
	jobs = slices.Clone(jobs)
	for i := range jobs {
		jobs[i].At = min(max(jobs[i].At, -maxAt), maxAt+maxHold)
		jobs[i].Work = min(max(jobs[i].Work, 0), maxHold)
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return cmp.Compare(a.At, b.At) })
	return jobs
}

// overlap is the number of scanners with which nobody waits.
func overlap(jobs []Job) int {
	var free heap
	most := 0
	for _, j := range jobs {
		for len(free) > 0 && free[0] <= int64(j.At) {
			free.pop()
		}
		free.push(int64(j.At + j.Work))
		most = max(most, len(free))
	}
	return most
}
