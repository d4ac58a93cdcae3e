package bulk

import "overstay/connlog"

// worker parses chunks, one at a time.
type worker struct {
	options *Options
	native  connlog.Parser
	event   connlog.Event // for a digest
	sifts   *input        // whose lines idle is for
	idle    func(line []byte) bool
	in      *input // whose parser it is
	parser  Parser
	batch   *Batch
	emit    func(*connlog.Event)
	visits  Visits // the batch's digest, if it takes them
	visit   func(*connlog.Visit)
}

func newWorker(o *Options) *worker {
	w := &worker{options: o}
	w.emit = func(e *connlog.Event) {
		if w.batch.Digest != nil {
			w.batch.used++
			w.batch.Digest.Observe(e)
			return
		}
		slot := w.batch.slot()
		services := append(slot.Services, e.Services...)
		*slot = *e
		slot.Services = services
		w.batch.keep(slot)
	}
	w.visit = func(v *connlog.Visit) {
		w.batch.used += v.Events()
		w.visits.Visit(v)
	}
	return w
}

// sift finds the lines of a chunk that need not be parsed.
func (w *worker) sift(b *Batch) {
	if b.in.format.Idle == nil {
		return
	}
	if w.sifts != b.in {
		w.sifts, w.idle = b.in, b.in.format.Idle()
	}
	b.sift(w.idle, w.options.MaxLineBytes)
}

// parse turns the rest of a chunk into events, or as much of it as a batch may
// give at once.
func (w *worker) parse(b *Batch) {
	if b.long != nil {
		b.came.lines++
		b.offset += uint64(b.long.Bytes)
		b.tooLong(b.long, w.options.Malformed)
		b.long = nil
	}
	switch f := &b.in.format; {
	case len(b.rest) == 0:
	case f.New == nil:
		w.parseNative(b)
	default:
		w.batch = b
		w.parseForeign(b, w.parserFor(b.in))
	}
}

// maxEvents is the number of events after which a batch is handed over before
// its chunk is parsed: more than a chunk of ordinary lines has.
func (o *Options) maxEvents() int { return max(o.ChunkBytes/64, leastSlots) }

func (w *worker) parseNative(b *Batch) {
	longest, most := w.options.MaxLineBytes, w.options.maxEvents()
	for len(b.rest) > 0 && b.roomFor(most) {
		at := b.offset
		line := b.next()
		if len(line) > longest {
			b.tooLong(&connlog.LongLineError{Offset: int64(at), Bytes: int64(len(line))}, w.options.Malformed)
			continue
		}
		e := &w.event
		if b.Digest == nil {
			e = b.slot()
		}
		if err := w.native.Parse(line, e); err != nil {
			b.malformed(err, w.options.Malformed)
			continue
		}
		if b.Digest != nil {
			b.used++
			b.Digest.Observe(e)
			continue
		}
		b.keep(e)
	}
}

// parserFor returns the parser of an input: the one that all share, if it is
// read in order.
func (w *worker) parserFor(in *input) Parser {
	if in.format.InOrder {
		if in.parser == nil {
			in.parser = in.format.New()
		}
		return in.parser
	}
	if w.in != in {
		w.in, w.parser = in, in.format.New()
	}
	return w.parser
}

// parserOf returns what reads a line in the way that the batch's digest likes
// best.
func (w *worker) parserOf(b *Batch, p Parser) func(line []byte) error {
	if visitor, ok := p.(Visitor); ok {
		if w.visits, ok = b.Digest.(Visits); ok {
			return func(line []byte) error { return visitor.Visits(line, w.emit, w.visit) }
		}
	}
	return func(line []byte) error { return p.Parse(line, w.emit) }
}

func (w *worker) parseForeign(b *Batch, p Parser) {
	longest, most := w.options.MaxLineBytes, w.options.maxEvents()
	placed, _ := p.(Placed)
	parse := w.parserOf(b, p)
	skips := b.in.format.Skips
	for b.roomFor(most) {
		if b.skipIdle(); len(b.rest) == 0 {
			break
		}
		at, place := b.offset, b.place
		line := b.next()
		if len(line) > longest {
			b.tooLong(&connlog.LongLineError{Offset: int64(at), Bytes: int64(len(line))}, w.options.Malformed)
			continue
		}
		if placed != nil {
			placed.Place(place)
		}
		switch err := parse(line); {
		case err == nil:
		case skips != nil && skips(err):
			b.came.skipped++
		default:
			b.malformed(err, w.options.Malformed)
		}
	}
}
