package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"overstay/server/mailstore"
)

func newUser(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Add, change, delete and list the users of mail",
		Long:  userHelp,
	}
	group(c)
	c.AddCommand(newUserAdd(g), newUserPasswd(g), newUserDel(g), newUserList(g))
	return c
}

func newUserAdd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Long:  userAddHelp,
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, names []string) error {
			if !mailstore.ValidName(names[0]) {
				return usage(c, "%w: %q", mailstore.ErrName, names[0])
			}
			return runUserAdd(c.Context(), g, names[0])
		},
	}
}

func newUserPasswd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a user another password",
		Long:  userPasswdHelp,
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, names []string) error {
			return runUserPasswd(c.Context(), g, names[0])
		},
	}
}

func newUserDel(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "del NAME",
		Short: "Delete a user; the mail stays",
		Long:  userDelHelp,
		Args:  args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, names []string) error {
			return runUserDel(c.Context(), g, names[0])
		},
	}
}

func newUserList(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the users, and where their mail is",
		Args:  args(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return runUserList(g) },
	}
}

func runUserAdd(ctx context.Context, g *global, name string) error {
	p, err := g.people()
	if err != nil {
		return err
	}
	// Before somebody has thought of a password in vain.
	names, err := p.names()
	var none *noUsersError
	switch {
	case errors.As(err, &none):
		g.ui.newUsers(p.file)
	case err != nil:
		return err
	case slices.Contains(names, name):
		return fmt.Errorf("%w: %s", mailstore.ErrUserExists, name)
	}
	password, err := g.ui.newPassword(ctx, name)
	if err != nil {
		return err
	}
	if err := mailstore.AddUser(ctx, p.file, name, password); err != nil {
		return err
	}
	return g.ui.userChanged(userDone{User: name, Done: "added", Mail: p.mailOf(name)})
}

func runUserPasswd(ctx context.Context, g *global, name string) error {
	p, err := g.people()
	if err != nil {
		return err
	}
	if names, err := p.names(); err != nil {
		return err
	} else if !slices.Contains(names, name) {
		return fmt.Errorf("%w: %s", mailstore.ErrNoUser, name)
	}
	password, err := g.ui.newPassword(ctx, name)
	if err != nil {
		return err
	}
	if err := mailstore.SetPassword(ctx, p.file, name, password); err != nil {
		return err
	}
	return g.ui.userChanged(userDone{User: name, Done: "changed", Mail: p.mailOf(name)})
}

func runUserDel(ctx context.Context, g *global, name string) error {
	p, err := g.people()
	if err != nil {
		return err
	}
	if _, err := p.names(); err != nil {
		return err
	}
	if err := mailstore.DeleteUser(ctx, p.file, name); err != nil {
		return err
	}
	return g.ui.userChanged(userDone{User: name, Done: "deleted", Mail: p.mailOf(name)})
}

func runUserList(g *global) error {
	p, err := g.people()
	if err != nil {
		return err
	}
	names, err := p.names()
	if err != nil {
		return err
	}
	users := make([]userView, 0, len(names))
	for _, name := range names {
		users = append(users, userView{User: name, Mail: p.mailOf(name)})
	}
	return g.ui.users(users)
}

// people is where the users are, and their mail.
type people struct{ file, mail string }

func (g *global) people() (people, error) {
	cfg, err := g.load()
	if err != nil {
		return people{}, err
	}
	return people{file: cfg.Path(cfg.Mail.Users), mail: cfg.Path(cfg.Mail.Folder)}, nil
}

// names returns the users of the file.
func (p people) names() ([]string, error) {
	names, err := mailstore.UserNames(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &noUsersError{path: p.file}
	}
	return names, err
}

// mailOf returns where the mail of a name is, and nothing if there is none.
func (p people) mailOf(name string) string {
	if !mailstore.ValidName(name) {
		return ""
	}
	folder := mailstore.NewStore(p.mail).Path(name)
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	if _, err := os.Stat(folder); err != nil {
		return ""
	}
	return folder
}

// noUsersError is a user file that does not exist yet.
type noUsersError struct{ path string }

func (e *noUsersError) Error() string { return "there is no user file at " + e.path }

// userView is one user of the list.
type userView struct {
	User string `json:"user"`
	Mail string `json:"mail,omitempty"`
}

// userDone is what has happened to a user.
type userDone struct {
	User string `json:"user"`
	Done string `json:"done"`
	Mail string `json:"mail,omitempty"`
}
