package bulk

import (
	"context"
	"iter"
	"sync"

	"overstay/internal/pile"
)

// run is one pass over the inputs.
type run struct {
	ctx     context.Context
	options *Options
	free    *pile.Pile[*Batch] // all that are neither read, parsed nor folded
	order   chan *Batch        // the others, in the order of reading
	workers sync.WaitGroup

	mu     sync.Mutex // whose turn it is to read
	source source
	over   bool
	parsed chan struct{} // closed when the chunk read last was parsed, if that matters
}

// Batches returns all that the inputs hold. A *FileError is about one input,
// and comes after what could be read of it; any other error is that of ctx, and
// the last thing returned. All that works behind the loop has ended when it has.
func (r *Reader) Batches(ctx context.Context) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if r.used {
			yield(nil, ErrUsed)
			return
		}
		r.used = true
		within, cancel := context.WithCancel(ctx)
		n := r.begin(within)
		defer n.end(cancel)
		fold := newWorker(&r.options)
		for {
			b, err := n.next()
			if b == nil {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if !r.handOver(b, fold, yield) {
				return
			}
			n.release(b)
		}
	}
}

// next waits for the next chunk in the order of reading; none are left when it
// is nil.
func (n *run) next() (b *Batch, err error) {
	select {
	case b = <-n.order:
	case <-n.ctx.Done():
	}
	if b != nil {
		select {
		case <-b.parsed:
		case <-n.ctx.Done():
		}
	}
	if err = n.ctx.Err(); err != nil {
		return nil, err
	}
	return b, nil
}

// handOver gives a chunk to the loop, in parts if it has more events than a
// batch may have.
func (r *Reader) handOver(b *Batch, fold *worker, yield func(*Batch, error) bool) bool {
	if b.first {
		r.files = append(r.files, b.File)
	}
	for {
		b.settle(r.options.Malformed)
		if b.came.lines > 0 && !yield(b, nil) {
			return false
		}
		if len(b.rest) == 0 {
			break
		}
		b.clear()
		fold.parse(b)
	}
	if b.err != nil {
		b.File.Err = b.err.Err
		return yield(nil, b.err)
	}
	return true
}

// begin starts the workers.
func (r *Reader) begin(ctx context.Context) *run {
	// Enough that a loop which is slow for a moment, or a worker, delays nobody.
	batches := 6*r.options.Workers + 1
	n := &run{ctx: ctx, options: &r.options, free: pile.New[*Batch](batches), order: make(chan *Batch, batches)}
	n.source = source{ctx: ctx, options: &r.options, waiting: r.inOrder(ctx), done: &r.done}
	for range batches {
		b := &Batch{parsed: make(chan struct{}, 1)}
		if r.options.Digest != nil {
			b.Digest = r.options.Digest()
		}
		n.free.Put(b)
	}
	for range r.options.Workers {
		n.workers.Go(n.work)
	}
	return n
}

// end stops the workers and waits for them.
func (n *run) end(cancel context.CancelFunc) {
	cancel()
	n.workers.Wait()
	n.source.close()
}

// work reads and parses chunks until there are none.
func (n *run) work() {
	w := newWorker(n.options)
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.free.Some:
			b := n.free.Take()
			if !n.read(b) {
				return
			}
			w.sift(b)
			if b.before != nil {
				select {
				case <-b.before:
				case <-n.ctx.Done():
					return
				}
			}
			w.parse(b)
			if b.after != nil && len(b.rest) == 0 {
				close(b.after)
				b.after = nil
			}
			b.parsed <- struct{}{}
		}
	}
}

// read makes b the next chunk and gives it its place in the order.
func (n *run) read(b *Batch) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return false
	}
	if !n.source.fill(b) {
		n.over = true
		close(n.order)
		return false
	}
	if b.in.format.InOrder {
		b.before, b.after = n.parsed, make(chan struct{})
		n.parsed = b.after
	}
	n.order <- b // It has room for all.
	return true
}

// release makes a batch that was handed over free again.
func (n *run) release(b *Batch) {
	if b.after != nil {
		close(b.after) // The loop has parsed the rest of it.
		b.after = nil
	}
	b.shrink(n.options.ChunkBytes, n.options.maxEvents())
	n.free.Put(b)
}
