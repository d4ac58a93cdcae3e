package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
	"overstay/detector/occupancy"
)

// Logs are finished files of a log of any kind that connlog/formats knows,
// plain or compressed. They are read in the order of time, however they are
// named.
type Logs struct {
	// Paths of files. One that names none is a pattern as of [path/filepath.Match].
	Paths []string
	// Stdin is read where the only path is "-".
	Stdin  io.Reader
	Format LogFormat
	// Workers read at the same time; 0: as many as the machine has cores.
	Workers int
	// Progress, if set, is told now and then how far a pass over the files is.
	Progress func(Progress)
	Logger   *slog.Logger

	spools map[string]*spool // what came from streams, by their paths
	memory *memory           // of what earlier passes found; nil if there is only one
}

// Progress is how much of the files was read, in bytes as they are stored.
type Progress struct {
	Pass        int   // 1 for the first time that they are read
	Done, Total int64 // Total is 0 where it is not known
}

// FromStdin is the path that stands for the standard input.
const FromStdin = "-"

// StdinName is what the standard input is called.
const StdinName = "standard input"

// where an event stands: in the file of that place among those that were read,
// and there in a line counted from 1.
type where struct {
	file int
	line uint64
}

// reader is what one pass over logs is for.
type reader struct {
	number int // of the pass, the first is 1
	// begin is called before the first event, with what the logs can tell as far
	// as that is known by then. Where it is called again, all begins anew.
	begin func(formats.Gives)
	files func(file int, name string) // called for a file before its events, and perhaps again
	event func(*connlog.Event, where) // an event is valid until it returns
	// notes takes in all events in place of event, if it is set. They are taken
	// where lines are parsed, on all cores.
	notes func(*occupancy.Notes)
	long  *longest // if not nil, is told of long connections
}

// judging makes what judges a log that tells so much.
type judging func(formats.Gives) (func(*connlog.Event), error)

// read hands over every event of the logs to what begin makes before the first
// one, and makes anew if the logs are read again. A file that cannot be read is
// said in the result and ends nothing; the error is that of a log without
// events, or of begin.
func (l Logs) read(ctx context.Context, begin judging) (read LogsRead, err error) {
	l, forget, err := l.kept(false)
	if err != nil {
		return read, err
	}
	defer forget()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var event func(*connlog.Event)
	var failed error
	read, err = l.pass(ctx, reader{
		number: 1,
		begin: func(gives formats.Gives) {
			if event, failed = begin(gives); failed != nil {
				event = func(*connlog.Event) {}
				stop()
			}
		},
		event: func(e *connlog.Event, _ where) { event(e) },
	})
	return read, cmp.Or(failed, err)
}

// pass is read for any reader. One that can begin anew does so if some events
// come too late for their place, and more can be put there the next time.
func (l Logs) pass(ctx context.Context, to reader) (LogsRead, error) {
	if to.begin == nil || l.memory == nil || l.memory.early != nil || l.onlyOnce() {
		return l.once(ctx, to)
	}
	to.long = newLongest()
	read, err := l.once(ctx, to)
	if err != nil || !l.memory.learn(&read, to.long) {
		return read, err
	}
	to.long = nil
	return l.once(ctx, to)
}

// once reads the logs through.
func (l Logs) once(ctx context.Context, to reader) (LogsRead, error) {
	r := newReading(&l, to)
	defer r.end()
	inputs, err := l.inputs()
	if err != nil {
		return r.LogsRead, err
	}
	if r.dialects, err = l.Format.dialects(); err != nil {
		return r.LogsRead, err
	}
	m := &merge{logs: &l, options: bulk.Options{Workers: l.Workers}, dialects: r.dialects, failed: r.failed}
	if to.notes != nil {
		m.options.Digest = func() bulk.Digest { return &digest{long: to.long, early: r.early} }
	}
	m.take = func(place int, b *bulk.Batch) {
		r.batch(place, b)
		if l.Progress != nil {
			done, total := m.progress()
			l.Progress(Progress{Pass: l.memory.passes(to.number), Done: done, Total: total})
		}
	}
	if err := m.run(ctx, inputs); err != nil {
		return r.LogsRead, err
	}
	r.inOrder()
	r.sum(m.read())
	switch {
	case ctx.Err() != nil:
		return r.LogsRead, ctx.Err()
	case r.events > 0:
		return r.LogsRead, nil
	case r.err != nil:
		return r.LogsRead, r.err
	}
	return r.LogsRead, &NoEventsError{Lines: r.Lines, Newer: r.Newer > 0}
}

// reading is one pass over logs.
type reading struct {
	LogsRead
	logger   *slog.Logger
	to       reader
	dialects *dialects
	sizes    *sizes
	order    *formats.Order   // of events of other servers' logs
	noted    *occupancy.Order // of their notes, if these are taken
	belt     *occupancy.Belt  // from noted
	events   uint64
	early    *early // told before their lines come
	told     int    // of these
	one      occupancy.Notes

	file   *bulk.File // that is being read
	number int        // of it, in the order in which files begin; the first is 0
	newer  bool       // a later version wrote what comes
}

func newReading(l *Logs, to reader) *reading {
	r := &reading{logger: l.Logger, to: to, sizes: newSizes(l.Format.Threads), number: -1}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	r.order = formats.NewOrder(formats.OrderOptions{Window: orderWindow, Max: orderRoom}, r.ordered)
	// It lets up to twice as many wait, and three events may be two there: what is
	// in its place in the first reading is so in the second.
	if to.notes != nil {
		r.belt = occupancy.NewBelt(to.notes)
		r.noted = occupancy.NewOrder(orderRoom/3, r.belt.Take)
	}
	if l.memory != nil {
		l.memory.read++
		r.early = l.memory.early
	}
	return r
}

// inOrder lets everything go that waits for its place in time.
func (r *reading) inOrder() {
	r.order.Flush()
	if r.noted != nil {
		r.noted.Flush()
		r.belt.Wait()
	}
}

// late is how many events came too late for their place.
func (r *reading) late() uint64 {
	if r.noted == nil {
		return r.order.Late()
	}
	return r.order.Late() + r.noted.Late()
}

// end lets go of what works beside the reading.
func (r *reading) end() {
	if r.belt != nil {
		r.belt.Close()
	}
}

const (
	// orderWindow is how long a connection may last that a log tells of at its
	// end, and still begin in its place: for ever, if there is room.
	orderWindow = 100 * 365 * 24 * time.Hour
	// orderRoom is the number of events that wait for those before them.
	orderRoom = 1 << 17
)

// batch takes in some lines of a file.
func (r *reading) batch(place int, b *bulk.Batch) {
	if r.file == nil && r.to.begin != nil {
		r.to.begin(r.dialects.gives())
	}
	if r.file != b.File {
		r.file, r.number, r.newer = b.File, place, false
		if r.to.files != nil {
			r.to.files(place, b.File.Name)
		}
	}
	for _, line := range b.Malformed {
		r.logger.Debug("malformed line skipped", "path", b.File.Name, "line", line.Line, "error", line.Err)
	}
	d, noted := b.Digest.(*digest)
	if b.File.Format != bulk.Native {
		if noted {
			r.foreign(d)
			return
		}
		r.unsorted(b)
		return
	}
	r.inOrder() // What was read before is before this.
	if noted {
		r.digested(d)
		return
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Kind == connlog.Start {
			r.started(e.Schema)
		}
		if r.newer {
			r.Newer++
			continue
		}
		r.give(e, where{r.number, b.Line(i)})
	}
}

// unsorted takes in events of another server's log, which have to find their
// place in time.
func (r *reading) unsorted(b *bulk.Batch) {
	var opened connlog.Event
	for i := range b.Events {
		e := &b.Events[i]
		at := where{r.number, b.Line(i)}
		switch {
		case e.Kind == connlog.Open:
			opened = *e
		case opened.Conn == e.Conn && r.to.long.wants(e): // One line told both.
			one := longOf(e)
			one.at, one.port = at, opened.ClientPort
			r.to.long.add(one)
		}
		r.tell(e.Time, func(e *connlog.Event) { r.order.Add(e) })
		if !r.early.tells(e) {
			e.Seq = pack(at) // It has no number of its own.
			r.order.Add(e)
		}
	}
}

// tell puts in the beginnings of long connections up to a time.
func (r *reading) tell(until time.Time, add func(*connlog.Event)) {
	if r.early == nil {
		return
	}
	for to := until.UnixMicro(); r.told < len(r.early.opens) && r.early.opens[r.told].opened <= to; r.told++ {
		e := r.early.opens[r.told].event()
		add(&e)
	}
}

// started notes which version of the log comes.
func (r *reading) started(schema int) {
	if r.newer = schema > connlog.SchemaVersion; r.newer {
		r.logger.Error("connection log of a newer version: not read", "path", r.file.Name, "schema", schema, "known", connlog.SchemaVersion)
	}
}

// lineBits of a packed place are its line.
const lineBits = 44

func pack(w where) uint64 { return uint64(w.file)<<lineBits | w.line&(1<<lineBits-1) }

// ordered takes an event that found its place in time.
func (r *reading) ordered(e *connlog.Event) {
	at := where{int(e.Seq >> lineBits), e.Seq & (1<<lineBits - 1)}
	e.Seq = 0
	r.give(e, at)
}

// give hands an event over.
func (r *reading) give(e *connlog.Event, at where) {
	r.events++
	r.spans(e.Time)
	if r.sizes != nil {
		r.sizes.fill(e)
	}
	if r.to.event != nil {
		r.to.event(e, at)
	}
}

func (r *reading) failed(file *bulk.FileError) {
	r.Unreadable = append(r.Unreadable, file.Name)
	r.err = errors.Join(r.err, fmt.Errorf("log %s: %w", file.Name, file.Err))
}

// sum adds up what the reading of the files came to.
func (r *reading) sum(files []*bulk.File) {
	var told []string
	for _, f := range files {
		r.Files++
		r.Lines += f.Lines
		r.Skipped += f.Skipped
		r.Malformed += f.Malformed
		r.Each = append(r.Each, LogFile{
			Name: f.Name, Format: f.Format, Compression: f.Compression, Lines: f.Lines, Events: f.Events,
			Skipped: f.Skipped, Malformed: f.Malformed, TooLong: f.TooLong, Err: f.Err,
		})
		if f.Events > 0 {
			told = append(told, f.Format)
		}
	}
	r.Orphans, r.Forged, r.Late = r.dialects.orphans.Load(), r.dialects.forged.Load(), r.late()
	r.Skipped -= r.Orphans
	if r.Late > r.events/manyLate {
		r.err = errors.Join(r.err, &DisorderError{Late: r.Late, Events: r.events})
	}
	r.Gives = r.dialects.gives(told...)
}
