package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"

	"overstay/banlist"
)

// openList opens the shared list for one command. Only a command that changes
// it may begin a new one: a question to a list that is not there is a question
// to the wrong place.
func (g *global) openList(ctx context.Context, mayCreate bool) (*banlist.List, error) {
	cfg, err := g.load()
	if err != nil {
		return nil, err
	}
	path := cfg.Path(cfg.List.Path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if !mayCreate {
			return nil, &noListError{path: path}
		}
		g.ui.newList(path)
	}
	return banlist.Open(ctx, path, banlist.Options{Lazy: true, Logger: g.logger()})
}

// withList runs f with the shared list.
func (g *global) withList(ctx context.Context, mayCreate bool, f func(*banlist.List) error) (err error) {
	list, err := g.openList(ctx, mayCreate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	return f(list)
}

// noListError is a list that does not exist yet.
type noListError struct{ path string }

func (e *noListError) Error() string { return fmt.Sprintf("there is no list at %s", e.path) }

// operator names the person at the keyboard, for the history.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return banlist.OriginOperator + name
}
