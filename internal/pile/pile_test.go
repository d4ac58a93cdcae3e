package pile

import (
	"sync"
	"testing"
)

func TestLastIsFirst(t *testing.T) {
	p := New[int](3)
	for i := range 3 {
		p.Put(i)
	}
	for want := 2; want >= 0; want-- {
		<-p.Some
		if got := p.Take(); got != want {
			t.Errorf("took %d, want %d", got, want)
		}
	}
	select {
	case <-p.Some:
		t.Error("there is one more")
	default:
	}
}

// TestTogether passes a few values around: none is lost, and none is had twice.
func TestTogether(t *testing.T) {
	const values, people = 3, 8
	p := New[*int](values)
	for range values {
		p.Put(new(int))
	}
	var all sync.WaitGroup
	for range people {
		all.Go(func() {
			for range 1000 {
				<-p.Some
				one := p.Take()
				*one++ // The race detector sees it if somebody else has it.
				p.Put(one)
			}
		})
	}
	all.Wait()
	sum := 0
	for range values {
		<-p.Some
		sum += *p.Take()
	}
	if sum != people*1000 {
		t.Errorf("%d turns, want %d", sum, people*1000)
	}
}
