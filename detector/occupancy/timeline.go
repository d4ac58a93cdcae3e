package occupancy

import (
	"net/netip"
	"time"

	"overstay/connlog"
)

// TimelineOptions say what of a log is to be shown.
type TimelineOptions struct {
	From, To time.Time
	Buckets  int            // that the time is divided into
	Sources  []netip.Prefix // that are shown apart, the first that fits
	Service  string         // the only one; empty: all
}

// Bucket is a part of a timeline.
type Bucket struct {
	From, To time.Time
	Threads  int       // that there are, 0 if not known
	Held     []float64 // mean threads held by each of Sources; the last: by all others
	Peak     int       // threads held at once
	Refused  uint64    // connections turned away, for whatever reason
}

// Timeline is a pool over time. It is for one goroutine.
type Timeline struct {
	options TimelineOptions
}

// NewTimeline returns a Timeline of nothing yet.
func NewTimeline(o TimelineOptions) *Timeline { return &Timeline{options: o} }

// Observe takes in the next event of the log.
func (t *Timeline) Observe(_ *connlog.Event) {}

// Buckets returns the timeline up to the last event.
func (t *Timeline) Buckets() []Bucket { return nil }
