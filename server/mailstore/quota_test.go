package mailstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestQuota(t *testing.T) {
	s := NewStore(t.TempDir())
	s.SetQuota(Quota{Messages: 4})
	for range 2 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, s, "anna", Inbox)
	list(t, m)
	if err := s.CreateFolder("anna", "B"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Copy([]uint32{1, 2}, "B"); err != nil {
		t.Fatal(err)
	}
	// It is full, for each way in, and for nobody else.
	if err := deliver(s, "x", "anna"); !errors.Is(err, ErrQuota) || errors.Is(err, ErrFull) {
		t.Errorf("delivered: %v", err)
	}
	if err := deliver(s, "x", "ben", "anna"); !errors.Is(err, ErrQuota) || len(mail(t, s, "ben")) != 0 {
		t.Errorf("delivered: %v", err)
	}
	if _, _, err := m.Append(0, time.Time{}, strings.NewReader("x")); !errors.Is(err, ErrQuota) {
		t.Errorf("appended: %v", err)
	}
	if _, err := m.Copy([]uint32{1}, "B"); !errors.Is(err, ErrQuota) {
		t.Errorf("copied: %v", err)
	}
	if err := s.Room("anna", 1); !errors.Is(err, ErrQuota) {
		t.Errorf("room: %v", err)
	}
	if err := deliver(s, "x", "ben"); err != nil {
		t.Error(err)
	}
	if _, err := m.Move([]uint32{1}, "B"); err != nil {
		t.Errorf("moved: %v", err)
	}
	if got := leftovers(t, s); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
	// Room again, once by us, once by another process, once by a folder's end.
	if _, err := m.Remove([]uint32{2}); err != nil {
		t.Fatal(err)
	}
	if err := deliver(s, "x", "anna"); err != nil {
		t.Errorf("after a removal: %v", err)
	}
	other := open(t, NewStore(s.root), "anna", "B")
	if _, err := other.Remove(uids(list(t, other))[:1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return deliver(s, "x", "anna") })
	if err := s.DeleteFolder("anna", "B"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := deliver(s, "x", "anna"); err != nil {
			t.Errorf("after the folder's end: %v", err)
		}
	}
	if err := deliver(s, "x", "anna"); !errors.Is(err, ErrQuota) {
		t.Errorf("full again: %v", err)
	}
}

func eventually(t *testing.T, do func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if err = do(); err == nil {
			return
		}
	}
	t.Error(err)
}

func TestQuotaOfBytes(t *testing.T) {
	s := NewStore(t.TempDir())
	s.SetQuota(Quota{Bytes: 100})
	if err := deliver(s, strings.Repeat("x", 101), "anna"); !errors.Is(err, ErrQuota) {
		t.Errorf("too large: %v", err)
	}
	for range 2 {
		if err := deliver(s, strings.Repeat("x", 50), "anna"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Begin([]string{"anna"}); !errors.Is(err, ErrQuota) {
		t.Errorf("full: %v", err)
	}
	s.SetQuota(Quota{})
	if err := deliver(s, "x", "anna"); err != nil {
		t.Errorf("without a quota: %v", err)
	}
}

// Many at a time do not get more than there is.
func TestQuotaHoldsUnderLoad(t *testing.T) {
	s := NewStore(t.TempDir())
	s.SetQuota(Quota{Messages: 20})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for range 5 {
				if err := deliver(s, "x", "anna"); err != nil && !errors.Is(err, ErrQuota) {
					t.Error(err)
				}
			}
		})
	}
	senders.Wait()
	if n := len(mail(t, s, "anna")); n != 20 {
		t.Errorf("%d messages", n)
	}
}

// A failed delivery takes no room.
func TestQuotaAfterFailures(t *testing.T) {
	s := NewStore(t.TempDir())
	s.SetQuota(Quota{Messages: 1})
	for _, step := range []string{"create", "write", "sync", "rename", "syncdir new"} {
		s.disk = &failingDisk{at: step, err: errCrash}
		if err := deliver(s, "x", "anna"); !errors.Is(err, errCrash) {
			t.Errorf("%s: %v", step, err)
		}
	}
	s.disk = realDisk{}
	if err := deliver(s, "x", "anna"); err != nil {
		t.Error(err)
	}
}

func fill(b *testing.B, s *Store, n int) {
	b.Helper()
	if err := deliver(s, "x", "anna"); err != nil {
		b.Fatal(err)
	}
	cur := filepath.Join(s.Path("anna"), "cur")
	for i := range n {
		if err := os.WriteFile(filepath.Join(cur, fmt.Sprintf("%d.M%dP1Q1R1.h,S=1,W=1:2,S", 1000000000+i, i)), []byte("x"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeliverQuota delivers under a quota, into mailboxes that are small
// and large.
func BenchmarkDeliverQuota(b *testing.B) {
	for _, n := range []int{0, crowded()} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := NewStore(b.TempDir())
			fill(b, s, n)
			s.SetQuota(Quota{Messages: 1 << 30})
			text := strings.Repeat("x", 4<<10)
			if err := deliver(s, text, "anna"); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := deliver(s, text, "anna"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// crowded is how many messages a large mailbox has.
func crowded() int {
	if testing.Short() {
		return 1_000
	}
	return 100_000
}

// BenchmarkLook looks at a large mailbox that has changed, and that has not.
func BenchmarkLook(b *testing.B) {
	s := NewStore(b.TempDir())
	fill(b, s, crowded())
	m, err := s.Open("anna")
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Look(); err != nil {
		b.Fatal(err)
	}
	b.Run("changed", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.ChangeFlags([]uint32{1}, Flagged, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		time.Sleep(2 * settleTime) // So that a change would show.
		if l, err := m.Look(); err != nil || len(l.Messages) < crowded() {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Look(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
