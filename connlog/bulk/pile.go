package bulk

import "sync"

// pile is of free batches: the one that was put there last is taken first, since
// its memory is the nearest. There are more than are in use mostly.
type pile struct {
	some chan struct{} // one element for each batch that is there
	mu   sync.Mutex
	all  []*Batch
}

func newPile(most int) *pile { return &pile{some: make(chan struct{}, most)} }

func (p *pile) put(b *Batch) {
	p.mu.Lock()
	p.all = append(p.all, b)
	p.mu.Unlock()
	p.some <- struct{}{} // It has room for all.
}

// take takes one, after an element was taken from some.
func (p *pile) take() *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.all) - 1
	b := p.all[last]
	p.all = p.all[:last]
	return b
}
