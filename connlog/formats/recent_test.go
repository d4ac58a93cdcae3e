package formats

import "testing"

// TestRecentForgetsTheOldest keeps as many as it promises, the last ones,
// whatever their keys are.
func TestRecentForgetsTheOldest(t *testing.T) {
	for _, spread := range []key{1, 64, 256, 1 << 20, 0x9e3779b97f4a7c15} {
		var r recent[int]
		for i := range 3 * maxRecent {
			r.put(key(i)*spread, i)
			if i%5 == 0 {
				r.put(0, i) // One that is put again and again.
			}
		}
		kept := 0
		for i := 1; i < 3*maxRecent; i++ {
			v, ok := r.get(key(i) * spread)
			if ok {
				kept++
			}
			if recent := i >= 3*maxRecent-maxRecent*4/5; ok && v != i || recent && !ok {
				t.Fatalf("spread %d: %d is %d, %v", spread, i, v, ok)
			}
		}
		if kept > maxRecent || len(r.byKey) > maxRecent {
			t.Errorf("spread %d: %d are kept, more than %d", spread, kept, maxRecent)
		}
		if _, ok := r.get(0); !ok {
			t.Errorf("spread %d: one that is put again is forgotten", spread)
		}
		if !r.forget(0) || r.forget(0) {
			t.Errorf("spread %d: it is not forgotten once", spread)
		}
	}
}
