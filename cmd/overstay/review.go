package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
)

func newReview(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:     "review",
		Short:   "Approve or reject suggested bans",
		Long:    reviewHelp,
		GroupID: "decide",
	}
	group(c)
	c.AddCommand(newReviewList(g), newReviewShow(g), newReviewApprove(g), newReviewReject(g))
	return c
}

func newReviewList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the suggestions that wait",
		Args:  args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return g.withList(c.Context(), false, func(list *banlist.List) error {
				bans, err := suggestions(c.Context(), list)
				if err != nil {
					return err
				}
				return g.ui.suggestions(bans)
			})
		},
	}
}

func newReviewShow(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID|ADDRESS|PREFIX...",
		Short: "Show the evidence for suggestions",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			return g.withList(c.Context(), false, func(list *banlist.List) error {
				bans, err := named(c.Context(), list, what)
				if err != nil {
					return err
				}
				return g.ui.evidence(bans)
			})
		},
	}
}

// approveOptions are the flags of review approve.
type approveOptions struct {
	actOptions
	force bool
}

func (o *approveOptions) AddFlags(f *pflag.FlagSet) {
	o.actOptions.AddFlags(f)
	f.BoolVar(&o.force, "force", false, "ban even from where an operator is logged in")
}

func newReviewApprove(g *global) *cobra.Command {
	o := &approveOptions{}
	c := &cobra.Command{
		Use:   "approve ID|ADDRESS|PREFIX...|all",
		Short: "Turn suggestions into bans that begin now",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			return settle(c.Context(), g, what, "banned", func(list *banlist.List, b *banlist.Ban) (banlist.Ban, error) {
				if err := spareOperators([]banlist.Ban{*b}, o.force); err != nil {
					return banlist.Ban{}, err
				}
				return list.Approve(c.Context(), b.ID, o.act())
			})
		},
	}
	o.AddFlags(c.Flags())
	return c
}

// rejectOptions are the flags of review reject.
type rejectOptions struct {
	actOptions
	quiet string
}

func (o *rejectOptions) AddFlags(f *pflag.FlagSet) {
	o.actOptions.AddFlags(f)
	f.StringVar(&o.quiet, "quiet", "7d", "how long the same policy must not suggest it again")
}

func newReviewReject(g *global) *cobra.Command {
	o := &rejectOptions{}
	c := &cobra.Command{
		Use:   "reject ID|ADDRESS|PREFIX...|all",
		Short: "Turn suggestions down, and keep the same policy from suggesting them again",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, what []string) error {
			quiet, err := app.ParseDuration(o.quiet)
			if err != nil {
				return usage(c, "--quiet: %w", err)
			}
			return o.run(c.Context(), g, what, quiet)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func (o *rejectOptions) run(ctx context.Context, g *global, what []string, quiet time.Duration) error {
	return settle(ctx, g, what, "rejected", func(list *banlist.List, b *banlist.Ban) (banlist.Ban, error) {
		return list.Reject(ctx, b.ID, quiet, o.act())
	})
}

// settle does one thing to each suggestion that is named.
func settle(ctx context.Context, g *global, what []string, done string, do func(*banlist.List, *banlist.Ban) (banlist.Ban, error)) error {
	return g.withList(ctx, false, func(list *banlist.List) error {
		bans, err := named(ctx, list, what)
		if err != nil {
			return err
		}
		settled := make([]banlist.Ban, 0, len(bans))
		for i := range bans {
			b, err := do(list, &bans[i])
			if err != nil {
				return g.ui.changed(done, settled, err)
			}
			settled = append(settled, b)
		}
		return g.ui.changed(done, settled, nil)
	})
}

// suggestions returns those that wait for a person.
func suggestions(ctx context.Context, list *banlist.List) ([]banlist.Ban, error) {
	return list.Bans(ctx, banlist.Filter{States: []banlist.State{banlist.Suggested}})
}

// noSuggestionError is a name that no waiting suggestion answers to.
type noSuggestionError struct{ name string }

func (e *noSuggestionError) Error() string { return "no suggestion waits for " + e.name }

// named returns the waiting suggestions that are named by id, address or
// prefix, or all of them; one that is named twice, once.
func named(ctx context.Context, list *banlist.List, names []string) ([]banlist.Ban, error) {
	waiting, err := suggestions(ctx, list)
	if err != nil {
		return nil, err
	}
	var found []banlist.Ban
	taken := make([]bool, len(waiting))
	for _, name := range names {
		known := name == "all"
		for i := range waiting {
			if name != "all" && !answersTo(&waiting[i], name) {
				continue
			}
			known = true
			if !taken[i] {
				taken[i] = true
				found = append(found, waiting[i])
			}
		}
		if !known {
			return nil, &noSuggestionError{name: name}
		}
	}
	return found, nil
}

// answersTo reports whether name is the id of an entry, its prefix, or an
// address of the one host that it is about. A net is not named by one of its
// addresses: who approves an address means no others.
func answersTo(b *banlist.Ban, name string) bool {
	if b.ID == name {
		return true
	}
	hosts, err := banlist.ParsePrefix(name)
	return err == nil && (b.Prefix == hosts || b.Prefix == connlog.AddressLevel.Source(hosts.Addr()) && hosts.IsSingleIP())
}
