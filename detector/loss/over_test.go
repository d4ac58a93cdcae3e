package loss

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestNobodyWaits ends a diagnosis that would take many replays, whenever that
// is said, and asks for no more of them.
func TestNobodyWaits(t *testing.T) {
	s := newSite(10, 1)
	s.crowd(5, time.Minute, s.short)
	for range 3 {
		s.holder(4, 10*time.Second, time.Minute)
	}
	system := s.record(t)
	for _, enough := range []int64{0, 1, 7, 40} {
		var asked, played atomic.Int64
		q := Question{Seeds: maxSeeds, Over: func() bool {
			if asked.Add(1) > enough {
				return true
			}
			played.Add(1)
			return false
		}}
		d := system.Diagnose(q)
		system.Averts(Change{Without: s.suspects}, q)
		if played.Load() != enough {
			t.Errorf("%d replays, want %d", played.Load(), enough)
		}
		if d.Question.Over != nil {
			t.Error("the answer holds on to who asked")
		}
	}
}
