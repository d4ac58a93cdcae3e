package banlist

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary play other processes that share a file.
func TestMain(m *testing.M) {
	if role := os.Getenv("BANLIST_TEST_ROLE"); role != "" {
		if err := play(role, os.Getenv("BANLIST_TEST_FILE")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// play is what another process does. It prints a line for each thing done.
func play(role, path string) error {
	l, err := Open(context.Background(), path, Options{Poll: time.Hour})
	if err != nil {
		return err
	}
	switch role {
	case "write":
		fmt.Println("open")
		return writeForever(l)
	case "echo":
		return echo(l)
	case "create":
		return l.Close()
	}
	return errors.New("no such role")
}

// writeForever bans hosts, and lifts every third, until it is killed. A line
// says what is committed.
func writeForever(l *List) error {
	for i := 0; ; i++ {
		h := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String()
		id := fmt.Sprintf("%d-%d", os.Getpid(), i)
		if _, err := l.Decide(context.Background(), []Ban{ban(id, h+"/32")}); err != nil {
			return err
		}
		fmt.Println("ban", id)
		if i%3 != 0 {
			continue
		}
		lifted, err := l.Lift(context.Background(), h, Act{By: "operator:test"})
		if err != nil {
			return err
		}
		for _, b := range lifted {
			fmt.Println("lift", b.ID)
		}
	}
}

// echo bans 203.0.113.x as soon as it sees that 192.0.2.x is banned, until its
// input ends.
func echo(l *List) error {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		watching := false
		for c := range l.Watch(ctx) {
			if !watching { // The first change says that the feed has begun.
				watching = true
				fmt.Println("open")
			}
			for _, b := range c.Added {
				a := b.Prefix.Addr().As4()
				if a[0] != 192 {
					continue
				}
				back := ban("echo-"+b.ID, fmt.Sprintf("203.0.113.%d/32", a[3]))
				if _, err := l.Decide(ctx, []Ban{back}); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // Its end is what counts.
	cancel()
	return errors.Join(<-done, l.Close())
}

// process is another process.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	end   func()
}

// start runs the test binary in a role and waits until it has the list open.
func start(tb testing.TB, role, path string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BANLIST_TEST_ROLE="+role, "BANLIST_TEST_FILE="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p := &process{cmd: cmd, lines: bufio.NewScanner(out), end: func() { _ = in.Close() }} // It may be dead.
	if !p.lines.Scan() || p.lines.Text() != "open" {
		tb.Fatalf("%s: %q", role, p.lines.Text())
	}
	return p
}

// stop ends the process in order.
func (p *process) stop(tb testing.TB) {
	tb.Helper()
	p.end()
	if err := p.cmd.Wait(); err != nil {
		tb.Error(err)
	}
}

// Two processes see each other's changes, far sooner than the poll would show
// them, also when the path is longer than a socket address may be.
func TestNoticeBetweenProcesses(t *testing.T) {
	for name, dir := range map[string]string{"short": "a", "long": strings.Repeat("long", 40)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), dir, "bans.db")
			l := open(t, path, Options{Poll: time.Hour})
			p := start(t, "echo", path)
			defer p.stop(t)
			for i := range 10 {
				decide(t, l, []Ban{ban(fmt.Sprint("n", i), fmt.Sprintf("192.0.2.%d/32", i))}, Banned)
				back := addr(fmt.Sprintf("203.0.113.%d", i))
				eventually(t, "the answer is seen", func() bool { return l.Blocked(back, "smtp") })
			}
		})
	}
}

// What was acknowledged before a kill is there after it: no ban is lost, and
// nothing that was lifted comes back. Another process has the file open all
// the while.
func TestKill(t *testing.T) {
	kills := 50
	if testing.Short() || raced {
		kills = 8
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	path := filepath.Join(t.TempDir(), "bans.db")
	l := open(t, path, Options{Poll: 10 * time.Millisecond})
	want := map[string]State{}
	for range kills {
		p := start(t, "write", path)
		var told []string // The last line may be a torn one.
		for killAfter := 1 + rnd.IntN(12); p.lines.Scan(); {
			told = append(told, p.lines.Text())
			if len(told) != killAfter {
				continue
			}
			// At any moment of what it does next.
			time.Sleep(time.Duration(rnd.IntN(3000)) * time.Microsecond)
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.cmd.Wait() // It was killed.
		for i, line := range told {
			what, id, _ := strings.Cut(line, " ")
			switch {
			case what == "ban":
				want[id] = Active
			case what == "lift":
				want[id] = Lifted
			case i < len(told)-1:
				t.Fatalf("the process says %q", line)
			}
		}
	}
	if len(want) == 0 {
		t.Fatal("no process lived long enough")
	}
	compareKilled(t, l, want)
	// And a new process restores the same.
	compareKilled(t, open(t, path, Options{}), want)
	left, err := sockets(path + noticeFolder)
	if err != nil || len(left) > 4 {
		t.Errorf("sockets of the dead: %v %v", left, err)
	}
}

// compareKilled expects what was acknowledged. The last step of a killed
// process may have been committed and not told.
func compareKilled(t *testing.T, l *List, want map[string]State) {
	t.Helper()
	all, err := l.Bans(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]State{}
	for _, b := range all {
		got[b.ID] = b.State
		// A process killed after its commit has told nobody: the poll finds it.
		if b.State == Active {
			eventually(t, b.ID+" is active and blocks", func() bool { return l.Blocked(b.Prefix.Addr(), "smtp") })
		}
	}
	for id, s := range want {
		untold := s == Active && got[id] == Lifted
		if got[id] != s && !untold && got[id] != "" {
			t.Errorf("%s is %q, was told %q", id, got[id], s)
		}
	}
	lost := 0
	for id := range want {
		if got[id] == "" && !merged(t, l, id) {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged decisions are lost", lost, len(want))
	}
}

// merged reports whether a decision was answered by an entry of another id.
func merged(t *testing.T, l *List, id string) bool {
	t.Helper()
	found, err := queryAll(t.Context(), l, func(row scanner) (string, error) {
		var s string
		return s, row.Scan(&s)
	}, "SELECT id FROM merged WHERE id = ?", id)
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

// Several processes make the same file at once.
func TestCreateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "bans.db")
	var all []*exec.Cmd
	for range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BANLIST_TEST_ROLE=create", "BANLIST_TEST_FILE="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	decide(t, open(t, path, Options{}), []Ban{ban("a", "192.0.2.1/32")}, Banned)
	for name, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): os.ModeDir | 0o700,
		path + noticeFolder: os.ModeDir | 0o700, path + "-wal": 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, mode)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || slices.ContainsFunc(files, func(e os.DirEntry) bool { return strings.Contains(e.Name(), ".new") }) {
		t.Error(files, err)
	}
}

// A notice that gets lost costs no more than a poll.
func TestPollFindsWhatNoNoticeTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans.db")
	deaf := open(t, path, Options{noNotice: true, Poll: 5 * time.Millisecond})
	mute := open(t, path, Options{noNotice: true})
	decide(t, mute, []Ban{ban("a", "192.0.2.1/32")}, Banned)
	eventually(t, "the poll shows the ban", func() bool { return deaf.Blocked(addr("192.0.2.1"), "smtp") })
	if _, err := mute.Allow(t.Context(), Allowance{Prefix: pfx("192.0.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the poll shows the allowance", func() bool { return !deaf.Blocked(addr("192.0.2.1"), "smtp") })
}

// A socket that nobody reads goes away.
func TestDeadSocketIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bans.db")
	p := start(t, "write", path)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for p.lines.Scan() { // Until it is dead, or it may be stuck in a write.
	}
	_ = p.cmd.Wait() // It was killed.
	if dead, err := sockets(path + noticeFolder); err != nil || len(dead) != 1 {
		t.Fatal(dead, err)
	}
	l := open(t, path, Options{})
	decide(t, l, []Ban{ban("a", "192.0.2.1/32")}, Banned)
	if left, err := sockets(path + noticeFolder); err != nil || len(left) != 1 || left[0] != l.notice.name {
		t.Error(left, err)
	}
}

// From the start of a commit here until another process has seen it, has
// committed its answer, and that is seen here: half of it is one way.
func BenchmarkNotice(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bans.db")
	l := open(b, path, Options{Poll: time.Hour})
	p := start(b, "echo", path)
	defer p.stop(b)
	var took []time.Duration
	for b.Loop() {
		// Lifted each time, so that the same few addresses do.
		i := len(took)
		h := i % 250
		back := addr(fmt.Sprintf("203.0.113.%d", h))
		began := time.Now()
		if _, err := l.Decide(context.Background(), []Ban{ban(fmt.Sprint("n", i), fmt.Sprintf("192.0.2.%d/32", h))}); err != nil {
			b.Fatal(err)
		}
		for !l.Blocked(back, "smtp") {
			time.Sleep(20 * time.Microsecond)
		}
		took = append(took, time.Since(began)/2)
		for _, a := range []string{fmt.Sprintf("192.0.2.%d", h), back.String()} {
			if _, err := l.Lift(context.Background(), a, Act{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	percentiles(b, took)
}
