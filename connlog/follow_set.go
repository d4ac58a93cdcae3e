package connlog

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// generation is a file of a log: the one at its path, or a rotated one.
type generation struct {
	path       string
	id         identity
	size       int64
	modified   time.Time
	print      Fingerprint // zero: no line yet
	first      lineHead
	compressed bool
}

func (g generation) same(other generation) bool { return g.id == other.id && g.path == other.path }

// lineHead is the head of a line, if it is a line of the connection log.
type lineHead struct {
	time time.Time
	boot string
	seq  uint64
}

func headOf(line []byte) lineHead {
	var p Parser
	var e Event
	if err := p.Parse(line, &e); err != nil {
		return lineHead{time: timeOf(line)}
	}
	return lineHead{e.Time, e.Boot, e.Seq}
}

// before reports whether h is the line directly before next, as its writer
// numbered them.
func (h lineHead) before(next lineHead) bool {
	return h.boot != "" && h.boot == next.boot && h.seq+1 == next.seq
}

// family is a log's files. It remembers what it has seen of each.
type family struct {
	path    string
	known   map[string]generation
	problem error // of a rotated file, in the last list
}

// stable lists until two lists in a row agree: a folder that is listed while a
// file in it is renamed can show it twice or not at all.
func (fam *family) stable() ([]generation, error) {
	before, err := fam.list()
	for range 100 {
		if err != nil {
			return nil, err
		}
		var now []generation
		if now, err = fam.list(); err != nil {
			return nil, err
		}
		if slices.EqualFunc(before, now, func(a, b generation) bool {
			// A file that was compressed meanwhile is the same one.
			return a.print == b.print && (a.id == b.id || a.print != Fingerprint{})
		}) {
			return now, nil
		}
		before = now
	}
	return before, nil
}

// list returns the files that have a line, and the path's file in any case,
// oldest first.
func (fam *family) list() ([]generation, error) {
	names, err := fam.names()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]generation, len(names))
	var gens []generation
	timed := true
	fam.problem = nil
	for _, name := range names {
		gen, ok, err := fam.look(name)
		if err != nil && name == fam.path {
			return nil, err
		}
		if err != nil {
			fam.problem = err
		}
		if !ok || err != nil {
			continue
		}
		seen[name] = gen
		if gen.print == (Fingerprint{}) && name != fam.path {
			continue
		}
		gens = append(gens, gen)
		timed = timed && (!gen.first.time.IsZero() || name == fam.path)
	}
	fam.known = seen
	slices.SortStableFunc(gens, func(a, b generation) int {
		switch {
		case a.path == fam.path:
			return 1
		case b.path == fam.path:
			return -1
		case timed && !a.first.time.Equal(b.first.time):
			return a.first.time.Compare(b.first.time)
		case !timed && !a.modified.Equal(b.modified):
			return a.modified.Compare(b.modified)
		}
		return strings.Compare(a.path, b.path)
	})
	return distinct(gens, fam.path), nil
}

// distinct keeps one of the files that begin alike: while a file is being
// compressed it is there twice, and only the uncompressed one is whole for
// certain; the file that a symbolic link at the path means may stand beside it.
func distinct(gens []generation, path string) []generation {
	at := make(map[Fingerprint]int)
	out := gens[:0]
	for _, g := range gens {
		i, twice := at[g.print]
		if !twice || g.print == (Fingerprint{}) {
			at[g.print] = len(out)
			out = append(out, g)
			continue
		}
		if out[i].compressed && !g.compressed || g.path == path {
			out[i] = g
		}
	}
	return out
}

// names returns the paths of the log's files, the path itself last. A name is
// the log's if what follows the log's name is a time or a number.
func (fam *family) names() ([]string, error) {
	dir := filepath.Dir(fam.path)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	base, ext := splitName(filepath.Base(fam.path))
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		bare := strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".gz")
		ours, ok := strings.CutPrefix(strings.TrimSuffix(bare, ext), base+"-")
		if !ok || !strings.HasSuffix(bare, ext) {
			ours, ok = strings.CutPrefix(bare, base+ext)
			ok = ok && ours != "" && strings.Contains(".-", ours[:1])
		}
		if ok && strings.ContainsAny(ours, "0123456789") && strings.Trim(ours, "0123456789TZ.-") == "" {
			names = append(names, filepath.Join(dir, name))
		}
	}
	return append(names, fam.path), nil
}

// look opens a file for its first line, unless it is as it was the last time.
func (fam *family) look(name string) (gen generation, ok bool, err error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return gen, false, nil
	}
	if err != nil {
		return gen, false, err
	}
	if !info.Mode().IsRegular() {
		return gen, false, &fs.PathError{Op: "follow", Path: name, Err: errors.New("not a regular file")}
	}
	old, ok := fam.known[name]
	if ok && old.id == identityOf(info) && old.size == info.Size() && old.modified.Equal(info.ModTime()) {
		return old, true, nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return gen, false, nil
	}
	if err != nil {
		return gen, false, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err = f.Stat(); err != nil {
		return gen, false, err
	}
	gen = generation{path: name, id: identityOf(info), size: info.Size(), modified: info.ModTime()}
	in, done, err := decompress(f)
	if err != nil {
		return gen, false, nil // still being compressed, or no log at all
	}
	defer done()
	_, plain := in.(*headed)
	gen.compressed = !plain
	head, err := io.ReadAll(io.LimitReader(bufio.NewReader(in), maxFirstLineBytes))
	if err != nil && plain {
		return gen, false, err
	}
	gen.print = fingerprintOf(head)
	gen.first = firstHead(head)
	return gen, true, nil
}

func firstHead(head []byte) lineHead {
	line, _, _ := strings.Cut(string(head), "\n")
	return headOf([]byte(line))
}

// find returns the file that a position means: the same content, and of those
// the same file if it is there.
func find(gens []generation, id identity, like Fingerprint) (generation, bool) {
	at := -1
	for i, g := range gens {
		if g.print == like && (g.id == id || at < 0 && like != Fingerprint{}) {
			at = i
		}
	}
	if at < 0 {
		return generation{}, false
	}
	return gens[at], true
}

// since returns the files from the newest on that begins at t or before.
func since(gens []generation, t time.Time) []generation {
	from := 0
	for i, g := range gens {
		if begins := g.first.time; !begins.IsZero() && !begins.After(t) ||
			begins.IsZero() && i > 0 && gens[i-1].modified.Before(t) {
			from = i
		}
	}
	return gens[from:]
}
