// Package pile keeps free buffers, and gives the one first that came last: its
// memory is the nearest. Where most of them are idle most of the time, a queue
// would have all of them go cold.
package pile

import "sync"

// Pile is of values that are free. It is for several goroutines.
type Pile[T any] struct {
	// Some has an element for each value that is there. Whoever has received one
	// may Take.
	Some <-chan struct{}

	some chan struct{}
	mu   sync.Mutex
	all  []T
}

// New returns a Pile that is empty and never has more values than most.
func New[T any](most int) *Pile[T] {
	some := make(chan struct{}, most)
	return &Pile[T]{Some: some, some: some}
}

// Put puts a value on the pile.
func (p *Pile[T]) Put(one T) {
	p.mu.Lock()
	p.all = append(p.all, one)
	p.mu.Unlock()
	p.some <- struct{}{}
}

// Take takes the uppermost value.
func (p *Pile[T]) Take() T {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.all) - 1
	one := p.all[last]
	p.all = p.all[:last]
	return one
}
