package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"overstay/server/mailstore"
)

// firstUser makes the user file, where there is none yet and a service needs
// it, with the one user that every mail server has (RFC 5321, 4.5.1). Its
// password goes into a file of its own that only the owner can read, never
// into a log.
func (c *Config) firstUser(ctx context.Context) (passwordFile string, err error) {
	users := c.Path(c.Mail.Users)
	if _, err := os.Stat(users); !errors.Is(err, fs.ErrNotExist) || !slices.ContainsFunc(c.Services, Service.hasUsers) {
		return "", nil // There, not needed, or an error that reading it will tell.
	}
	if err := os.MkdirAll(filepath.Dir(users), 0o700); err != nil {
		return "", fmt.Errorf("first user: %w", err)
	}
	// The user file comes last: it is what says that all is done.
	password := rand.Text()
	passwordFile = filepath.Join(filepath.Dir(users), "postmaster.password")
	if err := writeWhole(passwordFile, []byte(password+"\n")); err != nil {
		return "", fmt.Errorf("first user: %w", err)
	}
	if err := mailstore.AddUser(ctx, users, "postmaster", password); err != nil {
		return "", fmt.Errorf("first user: %w", err)
	}
	return passwordFile, nil
}

// hasUsers tells whether somebody can log in to the service.
func (s Service) hasUsers() bool {
	return s.Protocol == "smtp" || s.Protocol == "pop3" || s.Protocol == "imap"
}

// writeWhole writes a file that only its owner can read, so that it is there
// as a whole or not at all.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // Made with mode 0600.
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
