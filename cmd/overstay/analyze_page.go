package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"overstay/internal/app"
)

// page writes the page that people look at, if one is asked for.
func (o *analyzeOptions) page(g *global, a *app.Analysis) error {
	if o.html == "" {
		return nil
	}
	return writeWhole(o.html, func(w io.Writer) error { return g.ui.page(w, a, o.given) })
}

// givenFlags are the flags of a command line that a result depends on, as they
// can be given again.
func givenFlags(flags *pflag.FlagSet) (given []string) {
	flags.Visit(func(f *pflag.Flag) {
		switch value := f.Value.(type) {
		case *threads:
			for _, one := range value.given {
				given = append(given, "--threads="+one)
			}
		default:
			switch f.Name {
			case "html", "csv", "json", "suggest", "top", "most", "by", "level", "verbose":
				return // They say how it is shown.
			case "map":
				given = append(given, "--map="+strings.Trim(value.String(), "[]"))
				return
			}
			given = append(given, "--"+f.Name+"="+value.String())
		}
	})
	return given
}

// verifyPage says what is in the way of a page before hours of reading.
func verifyPage(path string) error {
	switch path {
	case "":
		return errors.New("a page needs the name of a file")
	case "-":
		return errors.New("a page goes into a file, and so does one that is to go on: /dev/stdout")
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case err == nil && !info.Mode().IsRegular():
		return nil
	case err == nil && info.Size() > 0 && !isPage(path): // Such as a log, of a command line in which the page's name was forgotten.
		return fmt.Errorf("%s is there and is no page: name another file", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	folder := filepath.Dir(path)
	if err := unix.Access(folder, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write in", Path: folder, Err: err}
	}
	return nil
}

// isPage reports whether a file may be written over by a page: it is one.
func isPage(path string) bool {
	const begin = "<!doctype html"
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	head := make([]byte, len(begin))
	_, err = io.ReadFull(f, head)
	return errors.Join(err, f.Close()) == nil && strings.EqualFold(string(head), begin)
}

// writeWhole writes a file that is there as a whole or, if something fails, as
// it was before, with the rights that it had. What is no file, such as a pipe,
// is written to as it is.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	const readable = 0o666 // Less the umask: a page is made to be handed on.
	mode := fs.FileMode(readable)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			return errors.Join(write(f), f.Close())
		}
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if mode != readable {
		err = f.Chmod(mode)
	}
	if err := errors.Join(err, write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
