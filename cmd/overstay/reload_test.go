package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// said waits until the process has said something.
func (p *process) said(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.stderr.String(), text); {
		if time.Now().After(deadline) {
			t.Fatalf("it never said %q:\n%s", text, p.stderr)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestHangupReloads changes what can be changed, then what cannot, then writes
// nonsense, and looks at what a client gets.
func TestHangupReloads(t *testing.T) {
	config := writeConfig(t, freePorts)
	p := startProcessWith(t, config)
	rewrite(t, config, strings.Replace(freePorts, "listen", "sessions_per_source = 1\nwords.sessions = \"One at a time\"\nlisten", 1))
	p.signal(t, syscall.SIGHUP)
	p.said(t, "The configuration is reloaded.")

	c := dialFrom(t, "127.0.0.1", p.smtp)
	expect(t, c, 220)
	refused := func() {
		t.Helper()
		second := dialFrom(t, "127.0.0.1", p.smtp)
		defer func() { _ = second.Close() }()
		if _, words, _ := second.ReadResponse(421); !strings.Contains(words, "One at a time") {
			t.Errorf("the second connection hears %q", words)
		}
	}
	refused()

	rewrite(t, config, strings.Replace(freePorts, "listen", "sessions_per_source = 1\nsmtp.max_recipients = 7\nwords.sessions = \"One at a time\"\nlisten", 1))
	p.signal(t, syscall.SIGHUP)
	p.said(t, "It waits for a restart: service \"smtp\": smtp has changed")
	refused()

	rewrite(t, config, freePorts+"nonsense = 1\n")
	p.signal(t, syscall.SIGHUP)
	p.said(t, "The configuration is not reloaded, the old one stays")
	p.said(t, "nonsense")
	refused()
	if err := c.PrintfLine("NOOP"); err != nil {
		t.Fatal(err)
	}
	expect(t, c, 250)

	p.signal(t, syscall.SIGTERM)
	if err := p.Wait(); err != nil || !strings.Contains(p.stderr.String(), "Stopped in order") {
		t.Errorf("%v\n%s", err, p.stderr)
	}
}

// TestHangupChangesPolicies makes a policy stricter while a client holds a
// connection that the old one let be.
func TestHangupChangesPolicies(t *testing.T) {
	policy := func(open int) string {
		return fmt.Sprintf("%s\n[detector]\ndefault_policies = false\n[[policy]]\nname = \"hasty\"\nwhen = \"open >= %d\"\naction = \"ban\"\nduration = \"1h\"\n", freePorts, open)
	}
	config := writeConfig(t, policy(3))
	p := startProcessWith(t, config)
	holder := dialFrom(t, "127.0.6.1", p.smtp)
	expect(t, holder, 220)
	rewrite(t, config, policy(1))
	p.signal(t, syscall.SIGHUP)
	p.said(t, "The configuration is reloaded.")
	if line, err := holder.ReadLine(); err == nil {
		t.Errorf("the holder was told %q, not cut", line)
	}
}

// TestHangupEndsOtherCommands which have nothing to reload.
func TestHangupEndsOtherCommands(t *testing.T) {
	cmd := exec.Command(os.Args[0], "top", "--state", filepath.Join(t.TempDir(), "state"))
	cmd.Env = append(os.Environ(), commandEnv+"=1")
	stderr := &lockedBuilder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // However it ends.
		close(ended)
	}()
	for timeout := time.After(20 * time.Second); ; {
		_ = cmd.Process.Signal(syscall.SIGHUP) // Until it listens to signals, this ends it too.
		select {
		case <-ended:
			return
		case <-timeout:
			_ = cmd.Process.Kill() // It would go on for ever.
			t.Fatalf("it goes on:\n%s", stderr)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// activated is a server whose sockets belong to the test, as they would to
// systemd.
type activated struct {
	t       *testing.T
	sockets []*os.File // smtp, www
	state   string
	config  string
	notify  *net.UnixConn
	said    *lockedBuilder // by the process that was started last
}

func (a *activated) start() *process {
	a.t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "serve", "--state", a.state, "--config", a.config)
	cmd.Env = append(os.Environ(), commandEnv+"=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=smtp:overstay.socket", "NOTIFY_SOCKET="+a.notify.LocalAddr().String())
	cmd.ExtraFiles = a.sockets
	p := &process{Cmd: cmd, stderr: &lockedBuilder{}}
	cmd.Stderr, a.said = p.stderr, p.stderr
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.told("READY=1")
	return p
}

// told waits for a message to the service manager.
func (a *activated) told(want string) {
	a.t.Helper()
	message := make([]byte, 4096)
	if err := a.notify.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	for {
		n, err := a.notify.Read(message)
		if err != nil {
			a.t.Fatalf("the manager was not told %s: %v\n%s", want, err, a.said)
		}
		if strings.HasPrefix(string(message[:n]), want) {
			return
		}
	}
}

// TestRestartRefusesNobody restarts a server ten times whose sockets outlive
// it, while clients connect all the time.
func TestRestartRefusesNobody(t *testing.T) {
	a := &activated{t: t, state: filepath.Join(t.TempDir(), "state")}
	var addresses []string
	for range 2 {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		if err := l.Close(); err != nil { // The file keeps it open.
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })
		a.sockets = append(a.sockets, file)
	}
	smtp, www := addresses[0], addresses[1]
	var err error
	a.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.notify.Close() })
	// The second socket has the unit's name, and is found by its address.
	a.config = writeConfig(t, "[[service]]\nname = \"smtp\"\nlisten = \"127.0.0.1:25\"\n[[service]]\nname = \"www\"\nlisten = \""+www+"\"\n")

	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var count struct {
		sync.Mutex
		served int
	}
	visit := func(once func() error) {
		for ctx.Err() == nil {
			if err := once(); err != nil {
				t.Errorf("a client got %v", err)
				return
			}
			count.Lock()
			count.served++
			count.Unlock()
		}
	}
	process := a.start()
	for range 2 {
		clients.Go(func() { visit(func() error { return greeted(smtp) }) })
		clients.Go(func() { visit(func() error { return fetched(www) }) })
	}
	for range 10 {
		time.Sleep(50 * time.Millisecond) // Some clients are served.
		process.signal(t, syscall.SIGTERM)
		a.told("STOPPING=1")
		if err := process.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, process.stderr)
		}
		process = a.start()
	}
	stop()
	clients.Wait()
	t.Logf("%d clients served", count.served)
	if count.served < 50 {
		t.Error("too few to tell")
	}
	process.signal(t, syscall.SIGHUP)
	a.told("RELOADING=1")
	a.told("READY=1")
	process.signal(t, syscall.SIGTERM)
	if err := process.Wait(); err != nil {
		t.Errorf("%v\n%s", err, process.stderr)
	}
}

// greeted connects and reads the greeting, or that the server is stopping.
func greeted(address string) error {
	raw, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	if err := raw.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	code, words, err := textproto.NewConn(raw).ReadResponse(0)
	var answer *textproto.Error
	if errors.As(err, &answer) || code == 220 || code == 421 {
		return nil
	}
	return fmt.Errorf("%d %s: %w", code, words, err)
}

// fetched makes one request.
func fetched(address string) error {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/healthz")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

func TestSocketOfNoService(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "serve", "--state", filepath.Join(t.TempDir(), "state"), "--config", writeConfig(t, freePorts))
	cmd.Env = append(os.Environ(), commandEnv+"=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=gopher")
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), `"gopher" on 127.0.0.1:`) {
		t.Errorf("%v\n%s", err, out)
	}
}
