package bulk

import (
	"bytes"
	"cmp"
	"slices"

	"overstay/connlog"
)

// Batch is some lines of one file. It is the caller's until the next one, but
// the strings and addresses of its events may be kept.
type Batch struct {
	File *File // with what was handed over so far, this batch included
	// Events are those of all lines that gave any. Services of an event are
	// valid as long as the batch is.
	Events []connlog.Event
	// Digest has taken in the events instead, if Options say so.
	Digest Digest
	// Malformed are the lines that could not be read, as far as Options want
	// to know which they are.
	Malformed []*connlog.LineError

	in     *input
	first  bool // chunk of its input
	err    *FileError
	before <-chan struct{} // closed when the chunk before was parsed, if that matters
	after  chan struct{}   // to be closed then
	parsed chan struct{}   // has one element when the loop may have it

	buf    []byte // a chunk
	rest   []byte // of it, not parsed yet
	offset uint64 // of rest, in its file
	place  uint64 // of rest, in all files
	long   *connlog.LongLineError
	idle   []idle // parts of rest that need not be parsed, in their order

	slots []connlog.Event // room for events, used as often as the batch is
	used  int
	lines []uint32 // for each event, its line: 1 for the first of the batch
	came  lineCounts
	known uint64 // lines of the file before this batch

	services []connlog.Service // of all events
	scratch  []connlog.Service // of one
}

// lineCounts are of the lines of a batch.
type lineCounts struct{ lines, skipped, malformed, tooLong uint64 }

// Line returns the number of the line, counted from 1, that gave Events[i].
func (b *Batch) Line(i int) uint64 { return b.known + uint64(b.lines[i]) }

// begin empties a batch for a chunk of an input.
func (b *Batch) begin(in *input) {
	b.in, b.File = in, in.file
	b.first, b.err, b.long = false, nil, nil
	b.before, b.after = nil, nil
	b.rest, b.offset, b.place = nil, 0, 0
	b.idle = b.idle[:0]
	b.clear()
}

// clear forgets what the batch told, but not what it has still to tell.
func (b *Batch) clear() {
	clear(b.Malformed)
	b.Events, b.Malformed, b.lines = nil, b.Malformed[:0], b.lines[:0]
	b.used, b.came = 0, lineCounts{}
	b.services = b.services[:0]
	if b.Digest != nil {
		b.Digest.Reset()
	}
}

// idle is a part of a chunk whose lines tell nothing.
type idle struct {
	left         int // bytes of rest when it begins
	bytes, lines uint64
}

// sift finds the lines that tell nothing.
func (b *Batch) sift(tellsNothing func(line []byte) bool, longest int) {
	for rest := b.rest; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		after := end + 1
		if end < 0 {
			end, after = len(rest), len(rest)
		}
		if end <= longest && tellsNothing(rest[:end]) {
			n := len(b.idle)
			if n == 0 || b.idle[n-1].left-int(b.idle[n-1].bytes) != len(rest) {
				b.idle = append(b.idle, idle{left: len(rest)})
				n++
			}
			b.idle[n-1].bytes += uint64(after)
			b.idle[n-1].lines++
		}
		rest = rest[after:]
	}
}

// skipIdle goes on behind lines that tell nothing.
func (b *Batch) skipIdle() {
	if len(b.idle) == 0 || b.idle[0].left != len(b.rest) {
		return
	}
	over := b.idle[0]
	b.idle = b.idle[1:]
	b.rest = b.rest[over.bytes:]
	b.offset += over.bytes
	b.place += over.bytes
	b.came.lines += over.lines
	b.came.skipped += over.lines
}

// next takes the next line off rest.
func (b *Batch) next() []byte {
	end := bytes.IndexByte(b.rest, '\n')
	after := end + 1
	if end < 0 { // The last line of a file.
		end, after = len(b.rest), len(b.rest)
	}
	line := b.rest[:end]
	b.rest = b.rest[after:]
	b.offset += uint64(after)
	b.place += uint64(after)
	b.came.lines++
	return line
}

// slot returns room for an event. What it holds is of no matter.
func (b *Batch) slot() *connlog.Event {
	if b.used == len(b.slots) {
		b.slots = slices.Grow(b.slots, max(len(b.slots), leastSlots))
		b.slots = b.slots[:cap(b.slots)]
	}
	e := &b.slots[b.used]
	e.Services = b.scratch[:0]
	return e
}

// roomFor says whether a batch that may give most events may give another one.
func (b *Batch) roomFor(most int) bool { return b.used < most && len(b.services) < manyServices }

// leastSlots is the number of events a batch has room for to begin with.
const leastSlots = 64

// keep makes the slot an event of the last line. Its services, which few
// events have, go where those of all events of the batch are, so that a slot
// costs no memory of its own.
func (b *Batch) keep(e *connlog.Event) {
	if n := len(e.Services); n > 0 {
		b.scratch = e.Services[:0]
		b.services = append(b.services, e.Services...)
		e.Services = b.services[len(b.services)-n : len(b.services) : len(b.services)]
	} else {
		e.Services = nil
	}
	b.used++
	b.lines = append(b.lines, uint32(b.came.lines))
}

// malformed counts the last line as one that is none.
func (b *Batch) malformed(err error, most int) {
	b.came.malformed++
	if len(b.Malformed) < most {
		b.Malformed = append(b.Malformed, &connlog.LineError{Line: b.came.lines, Err: err})
	}
}

// tooLong counts the last line as one that was not looked at.
func (b *Batch) tooLong(err *connlog.LongLineError, most int) {
	b.came.tooLong++
	b.malformed(err, most)
}

// settle adds what the batch tells to what is known of its file, of which it
// is the next part. Of malformed lines it leaves the first most of the file.
func (b *Batch) settle(most int) {
	f := b.File
	if b.Digest == nil {
		b.Events = b.slots[:b.used]
	}
	b.known = f.Lines
	told := min(f.Malformed, uint64(max(most, 0)))
	b.Malformed = b.Malformed[:min(len(b.Malformed), max(most, 0)-int(told))]
	for _, m := range b.Malformed {
		m.Line += b.known
	}
	f.Lines += b.came.lines
	f.Events += uint64(b.used)
	f.Skipped += b.came.skipped
	f.Malformed += b.came.malformed
	f.TooLong += b.came.tooLong
	f.Text = cmp.Or(b.offset, f.Text)
}

// shrink lets go of memory that an unusual chunk took.
func (b *Batch) shrink(chunk, events int) {
	if cap(b.buf) > 4*chunk {
		b.buf = nil
	}
	if len(b.slots) > 2*events {
		b.slots = nil
	}
	if cap(b.services) > 4*manyServices {
		b.services = nil
	}
}

// manyServices are more than ordinary beats name in a batch.
const manyServices = 4096
