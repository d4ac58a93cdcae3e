// Command overstay says why a server is too busy, who holds its threads, and
// bans them. Each command is one file: its constructor, its options, their
// check, and its run. What a person reads stands in help.go, explain.go, the
// files words*.go, running.go, transfer.go and people.go.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"overstay/internal/app"
)

// Exit codes, the same for all commands.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong flags, arguments or configuration
	exitFound  = 3 // check: banned; why, analyze: an attack
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // The first ends in order, a second at once.
	ctx = hangups(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program, but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &output{Writer: stdout}
	g := &global{ui: ui{in: stdin, out: out, err: stderr}}
	root := newRoot(g)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	if code == exitFailed || code == exitUsage {
		g.ui.complain(err)
	} else if err := out.failed(); err != nil {
		g.ui.complain(err)
		code = max(code, exitFailed) // What was found is still worth more.
	}
	return code
}

func exitCode(err error) int {
	var found foundError
	var usage *usageError
	var config *app.ConfigError
	var unreadable *unreadableError
	var noPool *app.NoPoolError
	var noService *app.NoServiceError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &found):
		return exitFound
	case errors.As(err, &usage), errors.As(err, &config), errors.As(err, &unreadable),
		errors.As(err, &noPool), errors.As(err, &noService), errors.Is(err, app.ErrMomentOrder), errors.Is(err, app.ErrStdinAlone):
		return exitUsage
	default:
		return exitFailed
	}
}

// ended makes the end that a person asked for no error of a command that goes
// on until then.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// usageError is a command line that cannot be understood.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// foundError ends a command that found what it was asked to look for; all has
// been said already.
type foundError struct{}

func (foundError) Error() string { return "found" }
