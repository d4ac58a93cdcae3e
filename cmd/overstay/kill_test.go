package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"overstay/banlist"
)

// TestKilledAtAnyTime kills serve, or serve and the detector beside it, at 50
// random moments while mail comes in, holders get banned, and a person bans and
// lifts. What was acknowledged must be there at the end, and nothing twice.
func TestKilledAtAnyTime(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 8
	}
	const seed = 7
	t.Logf("seed %d", seed)
	k := &killed{t: t, state: filepath.Join(t.TempDir(), "state"), random: rand.New(rand.NewPCG(seed, seed)), lifted: map[netip.Prefix]bool{}}
	k.config = writeConfig(t, freePorts+`
[detector]
default_policies = false
bans_per_minute = 100000
[[policy]]
name = "hasty"
when = "unproven.open >= 2"
action = "ban"
duration = "1h"
[log]
max_bytes = 65536
`)
	for round := range rounds {
		k.round(round)
	}
	if len(k.mailed) < rounds/2 || len(k.banned) < rounds/2 {
		t.Fatalf("too little happened: %d messages, %d bans", len(k.mailed), len(k.banned))
	}
	k.check()
}

// killed is what was acknowledged before each kill.
type killed struct {
	t      *testing.T
	state  string
	config string
	random *rand.Rand
	next   int            // of holders' addresses
	stderr *lockedBuilder // of the process that was started last

	mu     sync.Mutex
	mailed []string
	banned []netip.Prefix
	lifted map[netip.Prefix]bool
}

// round starts the processes, does work until a random moment, and kills.
func (k *killed) round(round int) {
	k.t.Helper()
	apart := round%2 == 1
	arguments := []string{"serve", "--state", k.state, "--config", k.config}
	if apart {
		arguments = append(arguments, "--no-detector")
	}
	serve, out := k.start(arguments...)
	kill := []*exec.Cmd{serve}
	if apart {
		detect, _ := k.start("detect", "--state", k.state, "--config", k.config)
		kill = append(kill, detect)
	}
	smtp, www := k.addresses(out)
	list, err := banlist.Open(k.t.Context(), filepath.Join(k.state, "bans.db"), banlist.Options{Lazy: true})
	if err != nil {
		k.t.Fatal(err)
	}

	ctx, stop := context.WithCancel(k.t.Context())
	var workers sync.WaitGroup
	workers.Go(func() { k.mail(ctx, smtp, round) })
	workers.Go(func() { k.hold(ctx, www, list) })
	workers.Go(func() { k.operate(ctx, list, round) })
	time.Sleep(time.Duration(20+k.random.IntN(180)) * time.Millisecond)
	for _, cmd := range kill {
		if err := cmd.Process.Kill(); err != nil {
			k.t.Error(err)
		}
		_ = cmd.Wait() // It was killed: that is its error.
	}
	stop()
	workers.Wait()
	if err := list.Close(); err != nil {
		k.t.Error(err)
	}
}

// start runs the command in a process of its own.
func (k *killed) start(arguments ...string) (*exec.Cmd, io.Reader) {
	k.t.Helper()
	cmd := exec.Command(os.Args[0], arguments...)
	cmd.Env = append(os.Environ(), commandEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	stderr := &lockedBuilder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.stderr = stderr
	return cmd, out
}

// addresses reads where the services listen.
func (k *killed) addresses(out io.Reader) (smtp, www string) {
	k.t.Helper()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) > 1 && f[0] == "smtp":
			smtp = f[1]
		case len(f) > 1 && f[0] == "www":
			www = f[1]
		case len(f) > 0 && f[0] == "detector":
			return smtp, www
		}
	}
	k.t.Fatalf("the server did not start:\n%s", k.stderr)
	return "", ""
}

// mail delivers messages, and notes those that were acknowledged.
func (k *killed) mail(ctx context.Context, address string, round int) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("message-%d-%d-end", round, i)
		err := smtp.SendMail(address, nil, "sender@example.org", []string{"postmaster@localhost"}, []byte("Subject: "+name+"\r\n\r\ntext\r\n"))
		if err != nil {
			continue // The server was killed, or is not up yet.
		}
		k.mu.Lock()
		k.mailed = append(k.mailed, name)
		k.mu.Unlock()
	}
}

// hold lets one source after the other hold two connections until the list
// says that it is banned.
func (k *killed) hold(ctx context.Context, address string, list *banlist.List) {
	for ctx.Err() == nil {
		k.next++
		source := netip.AddrFrom4([4]byte{127, 9, byte(k.next >> 8), byte(k.next)})
		for range 2 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source.AsSlice()}}
			c, err := d.DialContext(ctx, "tcp", address)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
		}
		for ctx.Err() == nil {
			if a, err := list.Check(ctx, source, "www"); err == nil && a.Blocked {
				k.mu.Lock()
				k.banned = append(k.banned, netip.PrefixFrom(source, 32))
				k.mu.Unlock()
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// operate bans and lifts by hand, what the detector banned too. A change that
// has begun is let end: one that is cut off may have happened or not.
func (k *killed) operate(ctx context.Context, list *banlist.List, round int) {
	for i := 0; ctx.Err() == nil; i++ {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(round), byte(i)}), 32)
		if _, err := list.Add(k.t.Context(), banlist.Ban{Prefix: p, Origin: "operator:test"}, banlist.AddOptions{}); err != nil {
			continue
		}
		k.mu.Lock()
		k.banned = append(k.banned, p)
		victim := k.banned[len(k.banned)/2]
		gone := k.lifted[victim]
		k.mu.Unlock()
		if gone || i%3 != 0 {
			continue
		}
		if _, err := list.Lift(k.t.Context(), victim.String(), banlist.Act{By: "operator:test"}); err == nil {
			k.mu.Lock()
			k.lifted[victim] = true
			k.mu.Unlock()
		}
		time.Sleep(time.Millisecond)
	}
}

// check starts once more, in order, and looks at what is left.
func (k *killed) check() {
	t := k.t
	serve, out := k.start("serve", "--state", k.state, "--config", k.config)
	k.addresses(out)
	defer func() {
		_ = serve.Process.Kill()
		_ = serve.Wait()
	}()
	// Nothing may come back when the detector has read the whole log again.
	eventuallySays(t, k.stderr, "read to its end")
	list, err := banlist.Open(t.Context(), filepath.Join(k.state, "bans.db"), banlist.Options{Lazy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	k.top()

	bans, err := list.Bans(t.Context(), banlist.Filter{States: []banlist.State{banlist.Active}})
	if err != nil {
		t.Fatal(err)
	}
	active := map[netip.Prefix]int{}
	for _, b := range bans {
		active[b.Prefix]++
	}
	for _, p := range k.banned {
		switch {
		case k.lifted[p] && active[p] != 0:
			t.Errorf("%v was lifted, and is banned again", p)
		case !k.lifted[p] && active[p] == 0:
			t.Errorf("the ban of %v is lost", p)
		case active[p] > 1:
			t.Errorf("%v is banned %d times", p, active[p])
		}
	}
	k.checkMail()
	t.Logf("%d messages, %d bans, %d lifted", len(k.mailed), len(k.banned), len(k.lifted))
}

// top wants the ranking to say that no connection of a dead server is open.
func (k *killed) top() {
	code, stdout, stderr := session(k.t.Context(), "top", "--once", "--json", "--state", k.state)
	var view topView
	if err := json.Unmarshal([]byte(stdout), &view); code != exitDone || err != nil {
		k.t.Fatalf("top: %d, %v, %s", code, err, stderr)
	}
	for _, p := range view.Pools {
		if p.Busy != 0 {
			k.t.Errorf("pool %s: %d threads are held by connections of a dead server", p.Pool, p.Busy)
		}
	}
}

func (k *killed) checkMail() {
	files, err := filepath.Glob(filepath.Join(k.state, "mail", "postmaster", "new", "*"))
	if err != nil {
		k.t.Fatal(err)
	}
	var all bytes.Buffer
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			k.t.Fatal(err)
		}
		all.Write(text)
	}
	for _, name := range k.mailed {
		if n := bytes.Count(all.Bytes(), []byte(name)); n != 1 {
			k.t.Errorf("%s was acknowledged, and is there %d times", name, n)
		}
	}
}

// eventuallySays waits until a process has said something.
func eventuallySays(t *testing.T, said *lockedBuilder, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(said.String(), want); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %q:\n%s", want, said)
		}
	}
}
