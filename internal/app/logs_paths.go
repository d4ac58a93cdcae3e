package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"overstay/connlog/bulk"
)

// inputs are the files to read, each once.
func (l Logs) inputs() ([]bulk.Input, error) {
	if slices.Contains(l.Paths, FromStdin) {
		if len(l.Paths) > 1 {
			return nil, ErrStdinAlone
		}
		in := bulk.Input{Name: stdinName, From: l.Stdin}
		if l.spool != nil {
			var err error
			if in.From, err = l.spool.next(); err != nil {
				return nil, err
			}
		}
		return []bulk.Input{in}, nil
	}
	var paths []string
	for _, path := range l.Paths {
		for _, one := range expand(path) {
			if !slices.ContainsFunc(paths, func(p string) bool { return filepath.Clean(p) == filepath.Clean(one) }) {
				paths = append(paths, one)
			}
		}
	}
	return bulk.Files(paths...), nil
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
