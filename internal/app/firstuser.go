package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/bcrypt"
)

// firstUser makes the user file, where there is none yet, with the one user
// that every mail server has (RFC 5321, 4.5.1). Its password goes into a file
// of its own that only the owner can read, never into a log.
func (c *Config) firstUser() (passwordFile string, err error) {
	for _, s := range c.Services {
		if s.Protocol != "smtp" {
			continue
		}
		users := c.Path(s.SMTP.Users)
		if _, err := os.Stat(users); !errors.Is(err, fs.ErrNotExist) {
			continue // There, or an error that reading it will tell.
		}
		password := rand.Text()
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
		if err != nil {
			return "", fmt.Errorf("first user: %w", err)
		}
		if err := os.MkdirAll(filepath.Dir(users), 0o700); err != nil {
			return "", fmt.Errorf("first user: %w", err)
		}
		// The user file comes last, and whole: it is what says that all is done.
		passwordFile = filepath.Join(filepath.Dir(users), "postmaster.password")
		if err := writeWhole(passwordFile, []byte(password+"\n")); err != nil {
			return "", fmt.Errorf("first user: %w", err)
		}
		if err := writeWhole(users, fmt.Appendf(nil, "postmaster:%s\n", hash)); err != nil {
			return "", fmt.Errorf("first user: %w", err)
		}
	}
	return passwordFile, nil
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
