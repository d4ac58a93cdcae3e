package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

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

// writeWhole writes a file that is there as a whole or, if something fails, as
// it was before. What is no file, such as a pipe, is written to as it is.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	const readable = 0o644 // It is made to be handed on.
	if err := errors.Join(write(f), f.Chmod(readable), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
