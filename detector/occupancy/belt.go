package occupancy

import "overstay/internal/pile"

// Belt carries notes to whom takes them on another goroutine, in their order.
// What puts them on it goes on meanwhile.
type Belt struct {
	full  chan *Notes
	free  *pile.Pile[*Notes]
	ended chan struct{}
}

// onBelt are as many notes as are on their way at once.
const onBelt = 128

// NewBelt returns a Belt to take, which is called by one goroutine until Close.
func NewBelt(take func(*Notes)) *Belt {
	b := &Belt{full: make(chan *Notes, onBelt), free: pile.New[*Notes](onBelt), ended: make(chan struct{})}
	for range onBelt {
		b.free.Put(new(Notes))
	}
	go func() {
		defer close(b.ended)
		for n := range b.full {
			take(n)
			b.free.Put(n)
		}
	}()
	return b
}

// Take puts notes on the belt. They are given back with other contents, which
// Reset empties.
func (b *Belt) Take(n *Notes) {
	<-b.free.Some
	other := b.free.Take()
	*n, *other = *other, *n
	b.full <- other
}

// Wait returns when all has been taken that is on the belt.
func (b *Belt) Wait() {
	var back [onBelt]*Notes
	for i := range back {
		<-b.free.Some
		back[i] = b.free.Take()
	}
	for _, n := range back {
		b.free.Put(n)
	}
}

// Close ends the belt when all on it has been taken. It may not be used then.
func (b *Belt) Close() {
	close(b.full)
	<-b.ended
}
