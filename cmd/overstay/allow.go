package main

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
)

// allowOptions are the flags of the command allow.
type allowOptions struct {
	note   string
	length length
	remove bool
}

func (o *allowOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.note, "note", "", "what is there, for the next reader")
	addLengthFlag(f, &o.length, "how long, as 90s, 1h30m or 7d (default: until removed)")
	f.BoolVar(&o.remove, "remove", false, "take off the allow list")
}

// verify reads the sources. Unlike in ban, an IPv6 address is that one alone:
// what may pass is said narrowly.
func (o *allowOptions) verify(c *cobra.Command, sources []string) ([]netip.Prefix, error) {
	if o.remove && len(sources) == 0 {
		return nil, usage(c, "--remove what?")
	}
	prefixes := make([]netip.Prefix, 0, len(sources))
	for _, s := range sources {
		p, err := banlist.ParsePrefix(s)
		if err != nil {
			return nil, usage(c, "%w", err)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, nil
}

func newAllow(g *global) *cobra.Command {
	o := &allowOptions{}
	c := &cobra.Command{
		Use:     "allow [ADDRESS|PREFIX...]",
		Short:   "Never ban these; without arguments, list them",
		Long:    allowHelp,
		GroupID: "decide",
		RunE: func(c *cobra.Command, sources []string) error {
			prefixes, err := o.verify(c, sources)
			if err != nil {
				return err
			}
			return o.run(c.Context(), g, prefixes)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *allowOptions) run(ctx context.Context, g *global, prefixes []netip.Prefix) error {
	mayCreate := len(prefixes) > 0 && !o.remove
	return g.withList(ctx, mayCreate, func(list *banlist.List) error {
		if len(prefixes) == 0 {
			allowed, err := list.Allowed(ctx)
			if err != nil {
				return err
			}
			return g.ui.allowances(allowed)
		}
		var lifted []banlist.Ban
		for i, p := range prefixes {
			bans, err := o.one(ctx, list, p)
			if err != nil {
				return g.ui.allowed(prefixes[:i], o.remove, lifted, err)
			}
			lifted = append(lifted, bans...)
		}
		return g.ui.allowed(prefixes, o.remove, lifted, nil)
	})
}

// one puts a prefix on the allow list, and returns the bans which that ended,
// or takes it off.
func (o *allowOptions) one(ctx context.Context, list *banlist.List, p netip.Prefix) ([]banlist.Ban, error) {
	if o.remove {
		err := list.Disallow(ctx, p, banlist.Act{By: operator(), Reason: o.note})
		if errors.Is(err, banlist.ErrNotFound) {
			err = &notAllowedError{prefix: p}
		}
		return nil, err
	}
	a := banlist.Allowance{Prefix: p, Note: o.note, By: operator()}
	if o.length > 0 {
		a.Expires = time.Now().Add(time.Duration(o.length))
	}
	return list.Allow(ctx, a)
}

// notAllowedError is a prefix that cannot be taken off the allow list, because
// it is not there.
type notAllowedError struct{ prefix netip.Prefix }

func (e *notAllowedError) Error() string { return sourceText(e.prefix) + " is not on the allow list" }
