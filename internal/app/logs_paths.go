package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"overstay/connlog/bulk"
)

// several reports whether there are several files.
func (l Logs) several() bool {
	n := 0
	for _, path := range l.Paths {
		n += len(expand(path))
	}
	return n > 1
}

// inputs are the files to read, each once, by whatever names.
func (l Logs) inputs() ([]bulk.Input, error) {
	if slices.Contains(l.Paths, FromStdin) {
		if len(l.Paths) > 1 {
			return nil, ErrStdinAlone
		}
		in, err := l.input(FromStdin)
		if err != nil {
			return nil, err
		}
		in.Name = StdinName
		if in.From == nil {
			in.From = l.Stdin
		}
		return []bulk.Input{in}, nil
	}
	var paths []string
	var files []fs.FileInfo // of those that there are
	for _, path := range l.Paths {
		for _, one := range expand(path) {
			info, err := os.Stat(one)
			switch {
			case err == nil && slices.ContainsFunc(files, func(f fs.FileInfo) bool { return os.SameFile(f, info) }):
				continue
			case err == nil:
				files = append(files, info)
			case slices.Contains(paths, one):
				continue
			}
			paths = append(paths, one)
		}
	}
	inputs := make([]bulk.Input, 0, len(paths))
	for _, path := range paths {
		in, err := l.input(path)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// input is one of the files, or what is kept of a stream.
func (l Logs) input(path string) (in bulk.Input, err error) {
	in.Name = path
	if s := l.spools[path]; s != nil {
		in.From, err = s.next()
	}
	return in, err
}

// expand returns the files that a pattern means, in order; the path itself
// where there is such a file, or no file that it means.
func expand(path string) []string {
	if _, err := os.Lstat(path); err == nil || !strings.ContainsAny(path, `*?[`) {
		return []string{path}
	}
	if found, err := filepath.Glob(path); err == nil && len(found) > 0 {
		return found
	}
	return []string{path}
}

// regular refuses what would be read for ever, or not at all.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: path, Err: errNotAFile}
	}
	return err
}
