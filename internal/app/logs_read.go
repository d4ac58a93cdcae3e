package app

import (
	"errors"
	"fmt"
	"time"

	"overstay/connlog/bulk"
	"overstay/connlog/formats"
)

// LogsRead is what the reading of logs came to.
type LogsRead struct {
	Files     int    `json:"files"`
	Lines     uint64 `json:"lines"`
	Skipped   uint64 `json:"skipped,omitempty"` // lines that tell of no connection
	Malformed uint64 `json:"malformed"`         // lines that are not of the format
	Newer     uint64 `json:"newer,omitempty"`   // lines of a later version, not read
	Orphans   uint64 `json:"orphans,omitempty"` // ends whose beginning no line tells
	// Forged lines name two addresses, either of which a stranger may have
	// written; they are of the malformed ones.
	Forged uint64 `json:"forged,omitempty"`
	// Late events came too far behind their time to be put in their place.
	Late uint64 `json:"late,omitempty"`
	// The earliest and the latest time in it. A clock that was set may make them
	// others than those of the first line and the last.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Unreadable says of the files that could not be read, or not to their end.
	Unreadable []string `json:"unreadable,omitempty"`
	// Each of the files, in the order of reading.
	Each []LogFile `json:"-"`
	// Gives is what all of the files can tell.
	Gives formats.Gives `json:"-"`

	// LeftOut are policies that were not applied: they ask what came of
	// connections, and the logs do not tell.
	LeftOut []string `json:"policies_left_out,omitempty"`

	err error // of those files
}

// LogFile is what the reading of one file came to.
type LogFile struct {
	Name        string
	Format      string
	Compression bulk.Compression
	Lines       uint64
	Events      uint64
	Skipped     uint64 // lines in good order that tell nothing
	Malformed   uint64
	TooLong     uint64 // of the malformed ones
	Err         error  // why it was not read, or not to its end
}

// spans takes in the time of an event.
func (r *LogsRead) spans(t time.Time) {
	if r.From.IsZero() || t.Before(r.From) {
		r.From = t
	}
	if t.After(r.To) {
		r.To = t
	}
}

// Err joins what was wrong with files that could not be read, or not to their
// end, and with the order of what was read. What the others told is true
// without them.
func (r *LogsRead) Err() error { return r.err }

// NoEventsError is a log in which there is nothing to read.
type NoEventsError struct {
	Lines uint64 // none of which is an event
	Newer bool   // they are of a later version
}

func (e *NoEventsError) Error() string {
	switch {
	case e.Newer:
		return "the log is of a newer version of overstay"
	case e.Lines == 0:
		return "the log is empty"
	case e.Lines == 1:
		return "its one line tells of no connection"
	}
	return fmt.Sprintf("none of its %d lines tells of a connection", e.Lines)
}

// Errors of logs.
var (
	// ErrStdinAlone is the error of naming files beside the standard input,
	// whose place in time is not known before it is read.
	ErrStdinAlone = errors.New("standard input (-) cannot be read together with files")
	// ErrFormatUnknown is the error of a file whose content looks like none of
	// the formats.
	ErrFormatUnknown = errors.New("its content looks like no log that is known")
)

// DisorderError is a log that is so far out of the order of time that its
// figures cannot be trusted.
type DisorderError struct{ Late, Events uint64 }

func (e *DisorderError) Error() string {
	return fmt.Sprintf("%d of %d events are too far from their place in time", e.Late, e.Events)
}

// manyLate is one in how many events may be out of its place.
const manyLate = 100
