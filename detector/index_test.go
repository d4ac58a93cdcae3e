package detector

import (
	"math/rand/v2"
	"testing"
)

// TestIndexIsAMap does to an index what is done to a map. There are few places
// at first, so that sources are in each other's way.
func TestIndexIsAMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 6))
	for range 20 {
		x, want := newIndex(), make(map[key]*source)
		keys := 1 + r.IntN(500)
		for range 5000 {
			k := key{pool: uint16(r.IntN(keys))}
			switch s := x.get(k); {
			case s != want[k]:
				t.Fatalf("%v is %v, want %v", k, s, want[k])
			case s == nil:
				want[k] = x.add(k)
			case r.IntN(3) > 0:
				x.remove(s)
				delete(want, k)
			}
		}
		n := 0
		for s := range x.all {
			if n++; want[s.key] != s {
				t.Fatalf("%v is in", s.key)
			}
		}
		if n != len(want) || n != x.n {
			t.Fatalf("%d are in, %d counted, want %d", n, x.n, len(want))
		}
	}
}
