package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// importOptions are the flags of the command import.
type importOptions struct {
	length   length
	services []string
	inverted bool
	skip     bool
	force    bool
}

func (o *importOptions) AddFlags(f *pflag.FlagSet) {
	addLengthFlag(f, &o.length, "length of bans from text, as 90s, 1h30m or 7d (default: until unban)")
	f.StringSliceVar(&o.services, "service", nil, "bans from text are for this service only (can be repeated)")
	f.BoolVar(&o.inverted, "inverted", false, "the list begins with * and its ! entries are the bans")
	f.BoolVar(&o.skip, "skip", false, "leave lines out that cannot be understood, and count them")
	f.BoolVar(&o.force, "force", false, "take even what is wider than /8 (IPv6: /16)")
}

func newImport(g *global) *cobra.Command {
	o := &importOptions{}
	c := &cobra.Command{
		Use:     "import FILE|-",
		Short:   "Read bans and exceptions from a file",
		Long:    importHelp,
		GroupID: "decide",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			return o.run(c.Context(), g, files[0])
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *importOptions) run(ctx context.Context, g *global, name string) error {
	in, origin := g.ui.in, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // Only read.
		in, origin = f, filepath.Base(name)
	}
	found, err := o.read(ctx, in)
	if err != nil {
		return err
	}
	return g.withList(ctx, true, func(list *banlist.List) error {
		result, err := list.Import(ctx, found.all, banlist.ImportOptions{
			Origin:   banlist.OriginImport + origin,
			By:       operator(),
			Services: o.services,
			Duration: time.Duration(o.length),
			Force:    o.force,
			Skip:     o.skip,
		})
		if err != nil && len(result.Errors) > 0 && !o.skip {
			return errors.Join(err, errNothingImported)
		}
		if err != nil {
			return err
		}
		return g.ui.imported(result)
	})
}

// read reads the file to its end, or until ctx ends. The list is not opened
// before: what waits for a person must not hold it, nor begin one in vain.
func (o *importOptions) read(ctx context.Context, in io.Reader) (*reading, error) {
	// A read that waits cannot be called off. It is left behind then, and the
	// process with it.
	text, pipe := io.Pipe()
	go func() {
		_, err := io.Copy(pipe, in)
		_ = pipe.CloseWithError(err) // Is always nil.
	}()
	stop := context.AfterFunc(ctx, func() { _ = pipe.CloseWithError(ctx.Err()) })
	defer stop()
	defer func() { _ = text.Close() }() // Is always nil.

	found := &reading{}
	for item, err := range o.items(text) {
		var bad *banlist.LineError
		switch {
		case err == nil:
			found.items = append(found.items, item)
		case !errors.As(err, &bad), errors.Is(err, banlist.ErrFormat):
			return nil, err
		default:
			found.skip(bad)
		}
		if len(found.items) > maxItems {
			return nil, fmt.Errorf("%w: the file has more than %d entries", banlist.ErrFull, maxItems)
		}
	}
	if len(found.bad) > 0 && !o.skip {
		return nil, errors.Join(append(found.bad, errNothingImported)...)
	}
	return found, nil
}

const (
	maxItems = 4_000_000 // as many as a list holds
	maxBad   = 100       // bad lines that are told; others are counted
)

// reading is what a file says, before any of it is imported.
type reading struct {
	items []banlist.Item
	bad   []error
	more  int // bad lines beyond those
}

func (r *reading) skip(bad error) {
	if len(r.bad) < maxBad {
		r.bad = append(r.bad, bad)
	} else {
		r.more++
	}
}

// all yields everything once, and lets go of what it has yielded.
func (r *reading) all(yield func(banlist.Item, error) bool) {
	for i := range r.items {
		item := r.items[i]
		r.items[i] = banlist.Item{}
		if !yield(item, nil) {
			return
		}
	}
	for _, bad := range r.bad {
		if !yield(banlist.Item{}, bad) {
			return
		}
	}
	for range r.more {
		if !yield(banlist.Item{}, r.bad[0]) {
			return
		}
	}
}

// items reads the file in its form: JSON is known by its first byte.
func (o *importOptions) items(in io.Reader) func(func(banlist.Item, error) bool) {
	buffered := bufio.NewReader(in)
	first, _ := buffered.Peek(1) // Nothing to peek at is an empty list.
	switch {
	case len(first) == 1 && first[0] == '{':
		return banlist.ParseJSON(buffered)
	case o.inverted:
		return banlist.ParseInverted(buffered)
	default:
		return banlist.ParseText(buffered)
	}
}

// errNothingImported ends an import that was not begun because of bad lines.
var errNothingImported = errors.New("nothing was imported")
