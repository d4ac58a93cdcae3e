package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"overstay/server/mailstore"
)

// maxPasswordLine bounds what is read in search of a line end.
const maxPasswordLine = 4 << 10

var (
	errNotTheSame = errors.New("the two passwords are not the same")
	errNoPassword = errors.New("no password was given")
	errManyLines  = errors.New("standard input has more than the one line of a password")
	errLongLine   = fmt.Errorf("%w: its line has no end", mailstore.ErrPassword)
	errShown      = errors.New("the terminal cannot be asked without showing the password")
)

// newPassword asks for a new password: twice, and without showing it, where
// there is a terminal. Otherwise it is the one line of standard input. It is
// never an argument, which everybody on this machine could see.
func (u *ui) newPassword(ctx context.Context, name string) (string, error) {
	f, isFile := u.in.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return within(ctx, func() (string, error) { return onlyLine(u.in) })
	}
	password, err := u.secret(ctx, f, "Password for "+name+": ")
	if err == nil {
		err = mailstore.CheckPassword(password)
	}
	if err != nil {
		return "", err
	}
	again, err := u.secret(ctx, f, "Once more: ")
	if err == nil && again != password {
		err = errNotTheSame
	}
	return password, err
}

// secret asks at a terminal. Whatever ends it, the terminal shows again what is
// typed.
func (u *ui) secret(ctx context.Context, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errShown, err)
	}
	u.ask(prompt)
	secret, err := within(ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), term.Restore(fd, before))
	}
	u.ask("\n") // The person's own was not shown.
	return secret, err
}

// onlyLine reads a text of one line.
func onlyLine(r io.Reader) (string, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxPasswordLine), maxPasswordLine)
	line, err := in.ReadString('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == maxPasswordLine:
		return "", errLongLine
	case errors.Is(err, io.EOF) && line == "":
		return "", errNoPassword
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("standard input: %w", err)
	}
	if in.Buffered() > 0 {
		return "", errManyLines
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// within waits for read until ctx ends. A read that nothing can interrupt is
// left to the end of the process.
func within(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
