package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// logOptions are the flags of every command that reads finished logs.
type logOptions struct {
	format, layout string
	mapping        map[string]string
	zone, now      string
	year           int
	threads        threads
}

func (o *logOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", app.AutoFormat, "how the logs are written: a `name` that overstay formats lists")
	f.StringVar(&o.layout, "log-format", "", "the `text` of nginx's log_format or Apache's LogFormat that the logs are written by")
	f.StringToStringVar(&o.mapping, "map", nil, "with --format csv or json, which column or key means what: `address=ip,begin=start,...`")
	f.StringVar(&o.zone, "tz", "", "`zone` of stamps that name none, as Europe/Berlin (default: this machine's)")
	f.StringVar(&o.now, "now", "", "stamps without a year are none after this `time` (default: the present)")
	f.IntVar(&o.year, "year", 0, "`year` of the first stamp that names none")
	f.Var(&o.threads, "threads", "threads of a pool where the log does not tell, as `N` or smtp=N (can be repeated)")
}

// complete has the shell know what can be given to the flags.
func (o *logOptions) complete(c *cobra.Command) {
	completeWith(c, "format", app.FormatNames()...)
}

// completeWith has the shell know the values of a flag.
func completeWith(c *cobra.Command, flag string, values ...string) {
	// The one error is that of a flag that is not there, and tests complete all.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// logFormat reads the flags.
func (o *logOptions) logFormat(c *cobra.Command) (f app.LogFormat, err error) {
	f = app.LogFormat{Name: o.format, Layout: o.layout, Location: time.Local, Year: o.year, Threads: o.threads.Threads}
	if o.zone != "" {
		if f.Location, err = time.LoadLocation(o.zone); err != nil {
			return f, usage(c, "--tz: %w; name one as UTC, Europe/Berlin or Etc/GMT-2, which is two hours ahead", err)
		}
	}
	if o.year != 0 && (o.year < 1970 || o.year > 9999) {
		return f, usage(c, "--year %d is no year of a log", o.year)
	}
	if o.now != "" {
		if o.year != 0 {
			return f, usage(c, "--now and --year exclude each other")
		}
		now, err := app.ParseMoment(o.now)
		if err != nil {
			return f, usage(c, "--now: %w", err)
		}
		f.Now = now.At(time.Now())
	}
	if err := f.Map(o.mapping); err != nil {
		return f, usage(c, "--map: %w", err)
	}
	if err := f.Verify(); err != nil {
		if o.layout != "" {
			return f, usage(c, "--log-format: %w", err)
		}
		return f, usage(c, "%w", err)
	}
	return f, nil
}

// threads are sizes of pools as a flag.
type threads struct {
	app.Threads
	given []string
}

// String is empty: there is no default to tell of.
func (t *threads) String() string { return "" }

// Type is what the help calls it.
func (t *threads) Type() string { return "threads" }

// Set reads one value of the flag.
func (t *threads) Set(s string) error {
	t.given = append(t.given, s)
	return t.Threads.Set(s)
}

// logs are the files that a command is to read.
func (g *global) logs(paths []string, format app.LogFormat) app.Logs {
	return app.Logs{Paths: paths, Stdin: g.ui.in, Format: format, Logger: g.logger()}
}
