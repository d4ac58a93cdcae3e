package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// global is what all commands share.
type global struct {
	ui      ui
	config  string
	state   string
	verbose bool
}

// AddFlags adds the flags that every command understands.
func (g *global) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&g.config, "config", "c", "", "configuration `file` (without it: built-in defaults)")
	f.StringVar(&g.state, "state", "", "`folder` of log, list and mail, in place of the configured one")
	f.BoolVar(&g.ui.json, "json", false, "print JSON")
	f.BoolVarP(&g.verbose, "verbose", "v", false, "say more about what happens")
}

// load reads the configuration that the flags name.
func (g *global) load() (*app.Config, error) {
	c := app.Default()
	if g.config != "" {
		var err error
		if c, err = app.Load(g.config); err != nil {
			return nil, configError(err)
		}
	}
	if g.state != "" {
		c.State = g.state
	}
	return c, nil
}

// unreadableError is a configuration file that cannot be read.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// configError makes each error of loading a configuration one of usage.
func configError(err error) error {
	var config *app.ConfigError
	if errors.As(err, &config) {
		return err
	}
	return &unreadableError{err: err}
}

// logger writes to standard error, what a person should see and no more.
func (g *global) logger() *slog.Logger {
	level := slog.LevelWarn
	if g.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(g.ui.err, &slog.HandlerOptions{Level: level}))
}

func newRoot(g *global) *cobra.Command {
	root := &cobra.Command{
		Use:           "overstay",
		Short:         "Says why a server is too busy, who holds its threads, and bans them",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	group(root)
	g.AddFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{command: c.CommandPath(), err: err}
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "decide", Title: "Decide:"},
	)
	root.AddCommand(
		newServe(g), newDetect(g), newDemo(g),
		newTop(g), newWhy(g), newBans(g), newCheck(g), newHistory(g), newAnalyze(g), newConvert(g), newFormats(g), newPolicy(g),
		newReview(g), newBan(g), newUnban(g), newAllow(g), newImport(g), newExport(g),
		newUser(g), newConfig(g), newVersion(g),
	)
	return root
}

// group makes c a command that only holds others. Without one of them it
// prints its help; an unknown one is a usage error.
func group(c *cobra.Command) {
	c.Args = func(c *cobra.Command, got []string) error {
		if len(got) > 0 {
			return usage(c, "there is no command %q", got[0])
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// args makes wrong arguments a usage error, as wrong flags are.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, got []string) error {
		if err := check(c, got); err != nil {
			return &usageError{command: c.CommandPath(), err: err}
		}
		return nil
	}
}

// usage makes a usage error of command c.
func usage(c *cobra.Command, format string, a ...any) error {
	return &usageError{command: c.CommandPath(), err: fmt.Errorf(format, a...)}
}
