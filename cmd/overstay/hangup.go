package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// A hangup (SIGHUP) means two things. To a command whose terminal is gone it is
// the end; to a server, everywhere else, it is the wish that it reads its
// configuration again. Under nohup it is ignored, and stays so.

type reloadKey struct{}

// reloads is where a command that can reload hears of hangups. A command that
// never looks is ended by them.
type reloads struct {
	wanted chan struct{} // the server takes it when it comes to it
	taken  chan struct{} // closed by the first who listens
}

// hangups returns a context with which a command can ask for hangups. stop ends
// the command in order.
func hangups(ctx context.Context, stop func()) context.Context {
	if signal.Ignored(syscall.SIGHUP) {
		return ctx
	}
	r := &reloads{wanted: make(chan struct{}, 1), taken: make(chan struct{})}
	terminal := term.IsTerminal(int(os.Stdout.Fd()))
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	go func() {
		for range received {
			if terminal && !term.IsTerminal(int(os.Stdout.Fd())) || !r.listened() {
				stop()
				return
			}
			select {
			case r.wanted <- struct{}{}:
			default: // One is wanted already.
			}
		}
	}()
	return context.WithValue(ctx, reloadKey{}, r)
}

// listened tells whether the command reloads.
func (r *reloads) listened() bool {
	select {
	case <-r.taken:
		return true
	default:
		return false
	}
}

// reloadOn returns a channel of hangups, which end the command no more. It is
// asked for once.
func reloadOn(ctx context.Context) <-chan struct{} {
	r, ok := ctx.Value(reloadKey{}).(*reloads)
	if !ok {
		return nil // Never.
	}
	close(r.taken)
	return r.wanted
}
