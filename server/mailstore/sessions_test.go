package mailstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// Many sessions, of two processes, work at one user's mail at the same time:
// each message is there exactly once in the end, and each UID was one
// message's.
func TestManySessions(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	root := t.TempDir()
	stores := [2]*Store{hastyStore(root), hastyStore(root)}
	if err := stores[0].CreateFolder("anna", "B"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 6 {
		s, r := stores[i%2], rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for j := range 40 {
				if err := work(s, r, fmt.Sprintf("%d.%d\n", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	count := map[string]int{}
	for _, folder := range []string{Inbox, "B"} {
		m := open(t, NewStore(root), "anna", folder)
		for _, msg := range list(t, m).Messages {
			count[text(t, m, msg.UID)]++
		}
	}
	for i := range 6 {
		for j := range 40 {
			if n := count[fmt.Sprintf("%d.%d\r\n", i, j)]; n != 1 {
				t.Errorf("message %d.%d is there %d times", i, j, n)
			}
		}
	}
	if len(count) != 6*40 {
		t.Errorf("%d messages", len(count))
	}
}

// work puts a message into the store, and then moves and marks some.
func work(s *Store, r *rand.Rand, body string) error {
	from, to := Inbox, "B"
	if r.IntN(2) == 0 {
		from, to = to, from
	}
	m, err := s.OpenFolder("anna", from)
	if err != nil {
		return err
	}
	defer m.Close()
	if r.IntN(2) == 0 {
		err = deliver(s, body, "anna")
	} else {
		_, _, err = m.Append(0, time.Time{}, strings.NewReader(body))
	}
	if err != nil {
		return err
	}
	l, err := m.Look()
	if err != nil || len(l.Messages) == 0 {
		return err
	}
	some := []uint32{l.Messages[r.IntN(len(l.Messages))].UID, l.Messages[len(l.Messages)-1].UID}
	_, err1 := m.TakeNew()
	_, err2 := m.ChangeFlags(some, Seen, 0)
	_, err3 := m.Move(some[:1], to)
	return errors.Join(err1, err2, err3)
}
