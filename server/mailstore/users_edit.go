package mailstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Errors of changes to the user file.
var (
	ErrUserExists = errors.New("mailstore: user exists already")
	ErrNoUser     = errors.New("mailstore: no such user")
	// ErrPassword means that a password cannot be one.
	ErrPassword = errors.New("mailstore: not a usable password")
	// ErrUsersBusy means that another process does not end its change of the
	// user file, or changes it all the time.
	ErrUsersBusy = errors.New("mailstore: another process is changing the user file")
)

// maxPasswordBytes is what bcrypt takes; it would ignore the rest.
const maxPasswordBytes = 72

// UserNames returns the users of the file, in its order.
func UserNames(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("mailstore: user file: %w", err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	text, err := readUsers(path, f)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(text) {
		if name := userOfLine(line); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// AddUser adds a user at the end of the file, which is made if there is none.
// The hash costs as much as the dearest one there.
// Errors beside those of the file are ErrName, ErrPassword, ErrUserExists and
// ErrUsersBusy. A server that runs knows the user from the next login on.
func AddUser(ctx context.Context, path, name, password string) error {
	if !ValidName(name) {
		return fmt.Errorf("%w: %q (a-z, 0-9 and . _ - inside, at most %d)", ErrName, name, maxNameBytes)
	}
	if err := CheckPassword(password); err != nil {
		return err
	}
	add := func(text string) (string, error) {
		cost := 0
		for line := range strings.Lines(text) {
			if userOfLine(line) == name {
				return "", fmt.Errorf("%w: %s", ErrUserExists, name)
			}
			cost = max(cost, costOfLine(line))
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		hash, err := bcrypt.GenerateFromPassword([]byte(password), cmp.Or(cost, bcrypt.DefaultCost))
		return fmt.Sprintf("%s%s:%s\n", text, name, hash), err
	}
	for {
		err := editUsers(ctx, path, add)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := createUsers(path, add); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// SetPassword gives a user another password, hashed at the same cost.
func SetPassword(ctx context.Context, path, name, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	return editUser(ctx, path, name, func(line string) (string, error) {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), costOfLine(line))
		return fmt.Sprintf("%s:%s\n", name, hash), err
	})
}

// DeleteUser takes a user out of the file. The mail stays where it is.
func DeleteUser(ctx context.Context, path, name string) error {
	return editUser(ctx, path, name, func(string) (string, error) { return "", nil })
}

// CheckPassword returns ErrPassword, and why, if a password cannot be one.
func CheckPassword(password string) error {
	switch {
	case password == "":
		return fmt.Errorf("%w: it is empty", ErrPassword)
	case len(password) > maxPasswordBytes:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrPassword, maxPasswordBytes)
	case strings.ContainsAny(password, "\x00\r\n"):
		return fmt.Errorf("%w: no client can send it (it has a NUL or a line end)", ErrPassword)
	}
	return nil
}

// editUser replaces the line of one user.
func editUser(ctx context.Context, path, name string, edit func(line string) (string, error)) error {
	return editUsers(ctx, path, func(text string) (string, error) {
		var after strings.Builder
		found := false
		for line := range strings.Lines(text) {
			if userOfLine(line) == name {
				found = true
				var err error
				if line, err = edit(line); err != nil {
					return "", err
				}
			}
			after.WriteString(line)
		}
		if !found {
			return "", fmt.Errorf("%w: %.100s", ErrNoUser, name)
		}
		return after.String(), nil
	})
}

// userOfLine returns whose line it is, and nothing for comments and empty
// lines. The line has been understood before.
func userOfLine(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return ""
	}
	name, _, _ := strings.Cut(line, ":")
	return name
}

// costOfLine returns the cost of the hash, and 0 where there is none.
func costOfLine(line string) int {
	_, hash, _ := strings.Cut(strings.TrimSpace(line), ":")
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil {
		return 0
	}
	return cost
}
