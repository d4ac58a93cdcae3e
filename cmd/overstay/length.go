package main

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"overstay/internal/app"
)

// length is the value of a flag --for: how long something is in force, as 90s,
// 1h30m or 7d. Without the flag it is zero and has no end; that is not to be
// had by --for 0, which may be a slip.
type length time.Duration

var errNoLength = errors.New("0 is no time; without the flag there is no end")

func addLengthFlag(f *pflag.FlagSet, l *length, usage string) {
	f.Var(l, "for", usage)
}

// Set reads a length of time that is not zero.
func (l *length) Set(text string) error {
	d, err := app.ParseDuration(text)
	if err == nil && d == 0 {
		err = errNoLength
	}
	if err == nil {
		*l = length(d)
	}
	return err
}

// String writes the length, an empty text for no end.
func (l *length) String() string {
	if *l == 0 {
		return ""
	}
	return lengthText(time.Duration(*l))
}

// Type names the kind of value in a command's help.
func (l *length) Type() string { return "time" }
