package main

import (
	"context"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is serve in a process of its own.
type process struct {
	*exec.Cmd
	stderr *lockedBuilder
	smtp   string // where its mail service listens
}

// startProcess starts serve, in a shell's command if there is one.
func startProcess(t *testing.T, shell ...string) *process {
	t.Helper()
	return startProcessWith(t, writeConfig(t, freePorts), shell...)
}

func startProcessWith(t *testing.T, config string, shell ...string) *process {
	t.Helper()
	line := append(shell, os.Args[0], "serve", "--state", filepath.Join(t.TempDir(), "state"), "--config", config)
	p := &process{Cmd: exec.Command(line[0], line[1:]...), stderr: &lockedBuilder{}}
	p.Env = append(os.Environ(), commandEnv+"=1")
	p.Stderr = p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill() // All is well if it has ended.
		_ = p.Wait()
	})
	p.smtp, _ = (&killed{t: t, stderr: p.stderr}).addresses(out)
	return p
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestHangupIsIgnoredUnderNohup asks the kernel: a hangup that has no effect
// cannot be waited for.
func TestHangupIsIgnoredUnderNohup(t *testing.T) {
	p := startProcess(t, "sh", "-c", `trap "" HUP; exec "$0" "$@"`)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Skip("needs Linux")
	}
	if !regexp.MustCompile(`SigIgn:\s[0-9a-f]*[13579bdf]\n`).Match(status) { // SIGHUP is the lowest bit.
		t.Errorf("a hangup is not ignored:\n%s", status)
	}
}

// TestSecondSignalEndsAtOnce interrupts serve while a client is in the midst of
// a message, and once more while serve waits for the client.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startProcess(t)
	c := dialFrom(t, "127.0.0.1", p.smtp)
	expect(t, c, 220)
	for _, step := range []struct {
		line string
		code int
	}{{"EHLO client.example", 250}, {"MAIL FROM:<a@example.org>", 250}, {"RCPT TO:<postmaster@localhost>", 250}, {"DATA", 354}} {
		if err := c.PrintfLine("%s", step.line); err != nil {
			t.Fatal(err)
		}
		expect(t, c, step.code)
	}
	ended := make(chan struct{})
	go func() {
		_ = p.Wait() // Its error is looked at in ProcessState.
		close(ended)
	}()
	for waiting := true; waiting; {
		_ = p.Process.Signal(os.Interrupt) // It may have ended.
		select {
		case <-ended:
			waiting = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	status, ok := p.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		t.Errorf("it ended in order, with %v:\n%s", p.ProcessState, p.stderr)
	}
}

func expect(t *testing.T, c *textproto.Conn, code int) {
	t.Helper()
	if _, _, err := c.ReadResponse(code); err != nil {
		t.Fatal(err)
	}
}

// TestImportIsInterrupted while it waits for standard input. No list is begun.
func TestImportIsInterrupted(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	ctx, cancel := context.WithCancel(t.Context())
	stdin, typed := io.Pipe()
	// Without the interruption it would wait until the input ends.
	end := time.AfterFunc(10*time.Second, func() { _ = typed.Close() })
	t.Cleanup(func() {
		end.Stop()
		_ = typed.Close()
	})
	go func() {
		_, _ = io.WriteString(typed, "203.0.113.1\n") // Has been read when it returns.
		cancel()
	}()
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"import", "-", "--state", state}, stdin, &stdout, &stderr)
	if code != exitFailed || stderr.String() != "overstay: interrupted\n" {
		t.Errorf("exit code %d: %s%s", code, &stdout, &stderr)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("a list was begun: %v", err)
	}
}

// TestInterruptedAtTheStart ends what goes on until it is interrupted, before
// it is under way: that is no failure.
func TestInterruptedAtTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, command := range []string{"serve", "detect", "demo"} {
		code, _, stderr := session(ctx, command, "--state", filepath.Join(t.TempDir(), "state"), "--config", writeConfig(t, freePorts))
		if code != exitDone || strings.Contains(stderr, "context") {
			t.Errorf("%s: exit code %d: %s", command, code, stderr)
		}
	}
}
