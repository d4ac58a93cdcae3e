// Command overstay says why a server is too busy, who holds its threads, and
// bans them. Each command is one file: its constructor, its options, their
// check, and its run. What a person reads stands in help.go, words.go,
// running.go and explain.go.
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
	exitFound  = 3 // check: banned
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program, but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	g := &global{ui: ui{in: stdin, out: stdout, err: stderr}}
	root := newRoot(g)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var found foundError
	if errors.As(err, &found) {
		return exitFound
	}
	g.ui.complain(err)
	var usage *usageError
	var config *app.ConfigError
	if errors.As(err, &usage) || errors.As(err, &config) {
		return exitUsage
	}
	return exitFailed
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
