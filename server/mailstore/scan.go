package mailstore

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// scan reads a folder, gives UIDs to messages that have none, and notes which
// are gone. Messages named in order get theirs in that order, after the others
// (nil: there is none). The account must be locked.
func (a *account) scan(f *folder, order []string) (*look, error) {
	if err := a.loadUIDs(f.dir, &f.uids); err != nil {
		return nil, err
	}
	const tries = 3
	for try := 1; ; try++ {
		now := time.Now()
		before, err := stampsOf(f.dir)
		if err != nil {
			return nil, err
		}
		found, err := f.read()
		if err != nil {
			return nil, err
		}
		gone := f.gone()
		if len(gone) > 0 && try < tries {
			// Where somebody renames while we read, a name may not show.
			if after, err := stampsOf(f.dir); err == nil && after != before {
				continue
			}
		}
		if err := a.number(f, found, gone, order); err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(m Message) bool { return m.UID == 0 })
		slices.SortFunc(found, func(a, b Message) int { return int(int64(a.UID) - int64(b.UID)) })
		return &look{
			Listing: Listing{Validity: f.uids.validity, Next: f.uids.next, Messages: found},
			stamps:  before,
			settled: now.Sub(before.new) > settleTime && now.Sub(before.cur) > settleTime,
			scanned: now, took: time.Since(now),
		}, nil
	}
}

// read returns the messages of a folder; the UID is 0 of those that have none
// yet. New comes before cur, because that is the way that messages go.
func (f *folder) read() ([]Message, error) {
	f.scan++
	found := make([]Message, 0, len(f.uids.byName))
	fresh := make(map[string]int)
	for _, sub := range []string{"new", "cur"} {
		names, err := fileNames(filepath.Join(f.dir, sub))
		if err != nil {
			return nil, err
		}
		for _, file := range names {
			name, flags, ok := parseName(file)
			if !ok {
				continue
			}
			m := Message{Name: name, Flags: flags, New: sub == "new", file: file}
			at := len(found)
			if e := f.uids.byName[name]; e != nil {
				m.UID, m.Size = e.uid, e.wire
				if e.scan == f.scan {
					at = e.at // It went from new to cur just now.
				}
				e.scan, e.at = f.scan, at
			} else if seen, twice := fresh[name]; twice {
				at = seen
			} else {
				fresh[name] = at
			}
			if at < len(found) {
				found[at] = m
			} else {
				found = append(found, m)
			}
		}
	}
	return found, nil
}

func fileNames(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // It was only read.
	return d.Readdirnames(-1)
}

// gone returns who has a UID but was not seen by the last scan.
func (f *folder) gone() (gone []*uidEntry) {
	for _, e := range f.uids.byName {
		if e.scan != f.scan {
			gone = append(gone, e)
		}
	}
	return gone
}

// number gives UIDs to the messages that have none, in the order in which they
// have arrived, or in that which is asked for.
func (a *account) number(f *folder, found []Message, gone []*uidEntry, order []string) error {
	rank := make(map[string]int, len(order))
	for i, name := range order {
		rank[name] = i + 1
	}
	var places []int
	for i := range found {
		if found[i].UID == 0 {
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(i, j int) int {
		a, b := found[i].Name, found[j].Name
		return cmp.Or(cmp.Compare(rank[a], rank[b]), byArrival(a, b))
	})
	fresh := make([]*uidEntry, 0, len(places))
	for _, at := range places {
		m := &found[at]
		wire, ok := nameSize(m.Name, 'W')
		if !ok {
			var err error
			if wire, err = wireSize(filepath.Join(f.dir, m.path())); err != nil {
				continue // It is gone again.
			}
		}
		fresh = append(fresh, &uidEntry{wire: wire, name: m.Name, scan: f.scan, at: at})
	}
	if err := a.addUIDs(f.dir, &f.uids, fresh, gone); err != nil {
		return err
	}
	for i := range found {
		if e := f.uids.byName[found[i].Name]; e != nil && len(fresh) > 0 {
			found[i].UID, found[i].Size = e.uid, e.wire
		}
	}
	return nil
}

// wireSize counts what a message from elsewhere has on the wire.
func wireSize(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // It was only read.
	var c wireCounter
	_, err = io.Copy(counting{&c}, f)
	return c.size, err
}

type counting struct{ c *wireCounter }

func (w counting) Write(b []byte) (int, error) {
	w.c.add(b)
	return len(b), nil
}
