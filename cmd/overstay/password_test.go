package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"overstay/server/mailstore"
)

func TestOnlyLine(t *testing.T) {
	for text, want := range map[string]string{
		"secret\n": "secret", "secret": "secret", "secret\r\n": "secret", " two words \n": " two words ", "\n": "",
	} {
		if got, err := onlyLine(strings.NewReader(text)); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		"": errNoPassword, "a\nb\n": errManyLines, "a\n\n": errManyLines,
		strings.Repeat("a", 10_000): mailstore.ErrPassword, strings.Repeat("a", 10_000) + "\n": mailstore.ErrPassword,
	} {
		if got, err := onlyLine(strings.NewReader(text)); got != "" || !errors.Is(err, want) {
			t.Errorf("%.10q: %q, %v", text, got, err)
		}
	}
}

// A pipe that stays open and silent does not keep the command.
func TestPasswordIsNotWaitedForAfterTheEnd(t *testing.T) {
	in, out := io.Pipe()
	defer func() { _ = out.Close() }() // Ends the reader.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u := &ui{in: in, out: io.Discard, err: io.Discard}
	if _, err := u.newPassword(ctx, "anna"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// pseudo is a pseudo-terminal: what is typed and seen, and the end that a
// command gets.
type pseudo struct {
	typed *os.File
	tty   *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func openPseudo(t *testing.T) *pseudo {
	t.Helper()
	typed, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	unlock, fd := 0, int(typed.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, unlock); err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made here: %v", err)
	}
	p := &pseudo{typed: typed, tty: tty}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(p, typed) }) // Until the last end is closed.
	t.Cleanup(func() {
		_ = tty.Close()
		reader.Wait()
		_ = typed.Close()
	})
	return p
}

func (p *pseudo) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *pseudo) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// echoes tells whether the terminal shows what is typed.
func (p *pseudo) echoes(t *testing.T) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// dialogue types answers, each when its question has been asked and nothing
// is shown any more.
func (p *pseudo) dialogue(t *testing.T, steps ...[2]string) {
	t.Helper()
	for _, s := range steps {
		for end := time.Now().Add(20 * time.Second); !strings.HasSuffix(p.text(), s[0]) || p.echoes(t); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no question %q in %q", s[0], p.text())
			}
		}
		if _, err := io.WriteString(p.typed, s[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// A real terminal, and a person who types.
func TestPasswordAtTerminal(t *testing.T) {
	state := t.TempDir()
	const first, again = "Password for anna: ", "Once more: "
	for _, c := range []struct {
		name    string
		steps   [][2]string
		code    int
		message string
	}{
		{"right", [][2]string{{first, "topsecret\n"}, {again, "topsecret\n"}}, exitDone, "added     anna"},
		{"there already", nil, exitFailed, "user exists already"},
		{"another one", [][2]string{{"Password for ben: ", "topsecret\n"}, {again, "topsecreT\n"}}, exitFailed, "not the same"},
		{"no password", [][2]string{{"Password for ben: ", "\n"}}, exitFailed, "it is empty"},
		{"Ctrl-C", [][2]string{{"Password for ben: ", "topsec\x03"}}, exitFailed, "interrupted"},
		{"Ctrl-C at the second", [][2]string{{"Password for ben: ", "topsecret\n"}, {again, "\x03"}}, exitFailed, "interrupted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := openPseudo(t)
			name := "anna"
			if len(c.steps) > 0 && c.steps[0][0] != first {
				name = "ben"
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "user", "add", name, "--state", state)
			cmd.Env = append(os.Environ(), commandEnv+"=1")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = p.tty, p.tty, p.tty
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			p.dialogue(t, c.steps...)
			_ = cmd.Wait() // The exit code tells.
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d", code)
			}
			if !p.echoes(t) {
				t.Error("the terminal is left without echo")
			}
			for end := time.Now().Add(10 * time.Second); !strings.Contains(p.text(), c.message); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("no %q in %q", c.message, p.text())
				}
			}
			if strings.Contains(p.text(), "topsec") {
				t.Errorf("the password is seen: %q", p.text())
			}
		})
	}
	names, err := mailstore.UserNames(filepath.Join(state, "users"))
	if err != nil || len(names) != 1 || names[0] != "anna" {
		t.Errorf("users %q, %v", names, err)
	}
}
