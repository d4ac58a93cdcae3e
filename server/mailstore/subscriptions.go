package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	subscriptionFile = "overstay.subscriptions"
	maxSubscriptions = maxFolders
)

// Subscriptions returns the folders that a user has subscribed to, in order.
// Some may not exist any more.
func (s *Store) Subscriptions(user string) ([]string, error) {
	a, err := s.account(user)
	if err != nil {
		return nil, err
	}
	defer s.done(a)
	return a.subscriptions()
}

func (a *account) subscriptions() ([]string, error) {
	text, err := os.ReadFile(filepath.Join(a.dir, subscriptionFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("mailstore: subscriptions: %w", err)
	}
	var names []string
	for name := range strings.Lines(string(text)) {
		name = strings.TrimSuffix(name, "\n")
		if _, err := folderDir(name); err == nil && len(names) < maxSubscriptions {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Subscribe adds a folder to those that the user has subscribed to, or takes
// it away. It need not exist.
func (s *Store) Subscribe(user, folder string, on bool) error {
	if _, err := folderDir(folder); err != nil {
		return err
	}
	return s.withLock(user, func(a *account) error {
		names, err := a.subscriptions()
		if err != nil {
			return err
		}
		at, there := slices.BinarySearch(names, folder)
		switch {
		case there == on:
			return nil
		case !on:
			names = slices.Delete(names, at, at+1)
		case len(names) >= maxSubscriptions:
			return ErrFolders
		default:
			names = slices.Insert(names, at, folder)
		}
		text := ""
		for _, name := range names {
			text += name + "\n"
		}
		return a.replaceFile(filepath.Join(a.dir, subscriptionFile), []byte(text))
	})
}
