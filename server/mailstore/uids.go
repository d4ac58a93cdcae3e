package mailstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	uidFile      = "overstay.uids"
	validityFile = "overstay.validity"
	uidMagic     = "overstay-uids 1 "
	// minDead is how many dead lines a list has at least before it is written
	// anew; there must also be more dead lines than living ones.
	minDead = 1000
)

// errDamaged means that a UID list cannot be used any more.
var errDamaged = errors.New("mailstore: damaged UID list")

// uidEntry is a message that has a UID.
type uidEntry struct {
	uid  uint32
	wire int64
	name string
	scan int64 // the last scan that saw it
	at   int   // and where that scan has it
}

// uidList is the file that makes UIDs last. It is read, and written, only
// while the account is locked.
type uidList struct {
	validity uint32
	next     uint32
	byName   map[string]*uidEntry

	inode uint64
	size  int64 // read so far: the end of the last whole line
	dead  int   // lines without a message
}

// readTail brings the list up to date with the file.
func (l *uidList) readTail(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // It was only read.
	info, err := f.Stat()
	if err != nil {
		return err
	}
	inode := inodeOf(info)
	if l.byName == nil || inode != l.inode || info.Size() < l.size {
		*l = uidList{byName: make(map[string]*uidEntry), inode: inode}
	}
	if info.Size() == l.size && l.validity != 0 {
		return nil
	}
	text := make([]byte, info.Size()-l.size)
	n, err := f.ReadAt(text, l.size)
	if n < len(text) {
		return err
	}
	return l.parse(text)
}

func inodeOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// parse adds whole lines to the list. A last line without an end was torn by
// a crash: nobody was told its UID.
func (l *uidList) parse(text []byte) error {
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			break
		}
		if !l.parseLine(string(text[:end])) {
			return errDamaged
		}
		l.size += int64(end) + 1
		text = text[end+1:]
	}
	if l.validity == 0 {
		return errDamaged
	}
	return nil
}

func (l *uidList) parseLine(line string) bool {
	if l.validity == 0 {
		rest, ok := strings.CutPrefix(line, uidMagic)
		validity, next, found := strings.Cut(rest, " ")
		v, err1 := strconv.ParseUint(validity, 10, 32)
		n, err2 := strconv.ParseUint(next, 10, 32)
		l.validity, l.next = uint32(v), uint32(n)
		return ok && found && err1 == nil && err2 == nil && v > 0 && n > 0
	}
	if name, ok := strings.CutPrefix(line, "-"); ok {
		l.dead++
		if _, known := l.byName[name]; known {
			delete(l.byName, name)
			l.dead++
		}
		return true
	}
	number, rest, _ := strings.Cut(line, " ")
	size, name, ok := strings.Cut(rest, " ")
	uid, err1 := strconv.ParseUint(number, 10, 32)
	wire, err2 := strconv.ParseInt(size, 10, 64)
	if !ok || err1 != nil || err2 != nil || name == "" || uint32(uid) < l.next || uint32(uid) == ^uint32(0) {
		return false
	}
	if _, twice := l.byName[name]; twice {
		return false
	}
	l.byName[name] = &uidEntry{uid: uint32(uid), wire: wire, name: name}
	l.next = uint32(uid) + 1
	return true
}

// loadUIDs reads the list of a folder, and makes a new one, with another
// validity, if there is none or it is damaged. The account must be locked.
func (a *account) loadUIDs(dir string, l *uidList) error {
	path := filepath.Join(dir, uidFile)
	err := l.readTail(path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged) {
		return fmt.Errorf("mailstore: UID list: %w", err)
	}
	validity, err := a.newValidity()
	if err != nil {
		return err
	}
	*l = uidList{validity: validity, next: 1, byName: make(map[string]*uidEntry)}
	return a.rewriteUIDs(dir, l)
}

// newValidity returns a number that none of the user's folders has had.
func (a *account) newValidity() (uint32, error) {
	path := filepath.Join(a.dir, validityFile)
	v := uint32(time.Now().Unix())
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		last, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		if err == nil && uint32(last) >= v {
			v = uint32(last) + 1
		}
	case !errors.Is(err, fs.ErrNotExist):
		return 0, fmt.Errorf("mailstore: UID validity: %w", err)
	}
	return v, a.replaceFile(path, fmt.Appendf(nil, "%d\n", v))
}

// rewriteUIDs writes the list anew, with nothing dead in it.
func (a *account) rewriteUIDs(dir string, l *uidList) error {
	living := make([]*uidEntry, 0, len(l.byName))
	for _, e := range l.byName {
		living = append(living, e)
	}
	slices.SortFunc(living, func(a, b *uidEntry) int { return int(int64(a.uid) - int64(b.uid)) })
	// The next UID of the head is the smallest that may follow; a line of its
	// own would be needed for the real one if the last messages are gone.
	text := fmt.Appendf(nil, "%s%d %d\n", uidMagic, l.validity, firstUID(living, l.next))
	for _, e := range living {
		text = appendUID(text, e)
	}
	if len(living) > 0 && living[len(living)-1].uid+1 < l.next {
		text = fmt.Appendf(text, "%d 0 %s\n-%s\n", l.next-1, goneName, goneName)
	}
	path := filepath.Join(dir, uidFile)
	if err := a.replaceFile(path, text); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("mailstore: UID list: %w", err)
	}
	l.inode, l.size, l.dead = inodeOf(info), int64(len(text)), 0
	return nil
}

// goneName stands for the last message that had a UID. It is not the name of
// a file of mail.
const goneName = ".gone"

func firstUID(living []*uidEntry, next uint32) uint32 {
	if len(living) == 0 {
		return next
	}
	return living[0].uid
}

func appendUID(b []byte, e *uidEntry) []byte {
	b = strconv.AppendUint(b, uint64(e.uid), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.wire, 10)
	b = append(b, ' ')
	return append(append(b, e.name...), '\n')
}

// addUIDs gives UIDs to new messages, in their order, and makes them last: a
// UID that a client has seen must not come again. Then it notes who is gone.
func (a *account) addUIDs(dir string, l *uidList, fresh []*uidEntry, gone []*uidEntry) error {
	if len(fresh) == 0 && len(gone) == 0 {
		return nil
	}
	if uint64(l.next)+uint64(len(fresh)) >= uint64(^uint32(0)) {
		return a.renumber(dir, l, fresh)
	}
	var text []byte
	for _, e := range gone {
		text = append(append(append(text, '-'), e.name...), '\n')
	}
	next := l.next
	for _, e := range fresh {
		e.uid = next
		next++
		text = appendUID(text, e)
	}
	if err := a.appendFile(filepath.Join(dir, uidFile), l.size, text, len(fresh) > 0); err != nil {
		return err
	}
	l.size += int64(len(text))
	l.next = next
	l.dead += 2 * len(gone)
	for _, e := range gone {
		delete(l.byName, e.name)
	}
	for _, e := range fresh {
		l.byName[e.name] = e
	}
	if l.dead >= minDead && l.dead > len(l.byName) {
		return a.rewriteUIDs(dir, l)
	}
	return nil
}

// dropUIDs notes who is gone.
func (a *account) dropUIDs(f *folder, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := a.loadUIDs(f.dir, &f.uids); err != nil {
		return err // Another process may have written to it.
	}
	var gone []*uidEntry
	for _, name := range names {
		if e := f.uids.byName[name]; e != nil {
			gone = append(gone, e)
		}
	}
	return a.addUIDs(f.dir, &f.uids, nil, gone)
}

// renumber begins again at 1, with another validity: the UIDs have run out.
func (a *account) renumber(dir string, l *uidList, fresh []*uidEntry) error {
	validity, err := a.newValidity()
	if err != nil {
		return err
	}
	l.validity, l.next = validity, 1
	all := fresh
	for _, e := range l.byName {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *uidEntry) int { return byArrival(a.name, b.name) })
	for _, e := range all {
		e.uid = l.next
		l.next++
		l.byName[e.name] = e
	}
	return a.rewriteUIDs(dir, l)
}

// appendFile writes text behind the first size octets of a file: what stands
// there was torn.
func (a *account) appendFile(path string, size int64, text []byte, last bool) error {
	f, err := a.store.disk.Append(path, size)
	if err != nil {
		return deliveryError("UID list", err)
	}
	_, err = f.Write(text)
	if err == nil && last {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return deliveryError("UID list", err)
	}
	return nil
}

// replaceFile replaces a file as a whole.
func (a *account) replaceFile(path string, text []byte) error {
	tmp := filepath.Join(a.dir, "tmp", a.store.uniqueName())
	f, err := a.store.disk.Create(tmp)
	if err != nil {
		return deliveryError("write", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = a.store.disk.Rename(tmp, path)
	}
	if err == nil {
		err = a.store.disk.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = a.store.disk.Remove(tmp) // What stays in tmp is not mail.
		return deliveryError("write", err)
	}
	return nil
}
