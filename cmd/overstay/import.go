package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
	"overstay/internal/app"
)

// importOptions are the flags of the command import.
type importOptions struct {
	length   string
	services []string
	inverted bool
	skip     bool
	force    bool

	duration time.Duration
}

func (o *importOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.length, "for", "", "length of bans from text, as 90s, 1h30m or 7d (default: until unban)")
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
		RunE: func(c *cobra.Command, files []string) (err error) {
			if o.length != "" {
				if o.duration, err = app.ParseDuration(o.length); err != nil {
					return usage(c, "--for: %w", err)
				}
			}
			return o.run(c.Context(), g, files[0])
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *importOptions) run(ctx context.Context, g *global, name string) (err error) {
	in, origin := g.ui.in, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // Only read.
		in, origin = f, filepath.Base(name)
	}
	return g.withList(ctx, true, func(list *banlist.List) error {
		result, err := list.Import(ctx, o.items(in), banlist.ImportOptions{
			Origin:   banlist.OriginImport + origin,
			By:       operator(),
			Services: o.services,
			Duration: o.duration,
			Force:    o.force,
			Skip:     o.skip,
		})
		if err != nil {
			return errors.Join(err, errNothingImported(result, o.skip))
		}
		return g.ui.imported(result)
	})
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

// linesError is an import that was not begun because of bad lines.
type linesError struct{ lines int }

func (e *linesError) Error() string { return "nothing was imported" }

func errNothingImported(r banlist.ImportResult, skip bool) error {
	if skip || len(r.Errors) == 0 {
		return nil
	}
	return &linesError{lines: len(r.Errors)}
}
