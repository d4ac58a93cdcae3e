package banlist

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestBannedAreNoSuggestions tells entries that were in force from those that
// never were, before and after their end.
func TestBannedAreNoSuggestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, filepath.Join(t.TempDir(), "bans.db"), Options{noNotice: true, Poll: time.Hour})
		late, lateSuggestion := ban("late", "192.0.2.5/32"), suggest("late-suggestion", "192.0.2.6/32")
		late.Decided = time.Now().Add(-100 * time.Hour)
		lateSuggestion.Decided = late.Decided
		decide(t, l, []Ban{
			ban("ban", "192.0.2.7/32"), ban("lifted", "192.0.2.8/32"), suggest("approved", "192.0.2.9/32"),
			suggest("unanswered", "192.0.2.10/32"), suggest("rejected", "192.0.2.11/32"), late, lateSuggestion,
		}, Banned, Banned, Waiting, Waiting, Waiting, Past, Past)
		if _, err := l.Approve(t.Context(), "approved", me); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reject(t.Context(), "rejected", time.Hour, me); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Lift(t.Context(), "lifted", me); err != nil {
			t.Fatal(err)
		}
		want := []string{"ban", "lifted", "approved", "late"}
		banned(t, l, want)
		// Half a second after the end the sweep has not come by yet.
		time.Sleep(time.Hour + 500*time.Millisecond)
		banned(t, l, want)
		time.Sleep(100 * time.Hour)
		synctest.Wait()
		banned(t, l, want)
		states(t, l, "ban expired", "lifted lifted", "approved expired", "unanswered expired",
			"rejected rejected", "late expired", "late-suggestion expired")
	})
}

func banned(t *testing.T, l *List, want []string) {
	t.Helper()
	all, err := l.Bans(t.Context(), Filter{Banned: true, Brief: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range all {
		got = append(got, b.ID)
	}
	equal(t, "entries that were bans", want, got)
}
