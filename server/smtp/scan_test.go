package smtp

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/server"
	"overstay/server/scan"
	"overstay/server/scan/clamdtest"
)

func scanners(t testing.TB, o scan.Options) *scan.Scanners {
	t.Helper()
	s, err := scan.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mail sends one message and returns the answer.
func (c *talk) mail(text string) string {
	c.t.Helper()
	c.mailTo("anna@example.org")
	c.send(text + "\r\n.\r\n")
	return c.reply()
}

func TestVirus(t *testing.T) {
	f := clamdtest.NewFake(t, clamdtest.Clean)
	s := start(t, Options{Scanners: scanners(t, scan.Options{Address: f.Address})}, server.Service{})
	c := s.greeted(t)
	if got := c.mail("Subject: x\r\n\r\na virus"); got != "550 5.7.1 Message refused: Test.Virus\r\n" {
		t.Errorf("virus: %q", got)
	}
	if got := c.mail("X-Virus-Scanned: by me\r\n\r\nhello"); !strings.HasPrefix(got, "250 ") {
		t.Errorf("clean: %q", got)
	}
	c.say("QUIT", "221 ")
	got := s.messages(t, "anna")
	if len(got) != 1 {
		t.Fatalf("anna has %q", got)
	}
	if ours, theirs := strings.Index(got[0], "\nX-Virus-Scanned: yes\n"), strings.Index(got[0], "by me"); ours < 0 || theirs < ours {
		t.Errorf("anna has %q", got)
	}
	fails := s.log.of(connlog.Fail)
	if len(fails) != 1 || fails[0].What != connlog.FailVirus || fails[0].User != "" {
		t.Errorf("fail lines %+v", fails)
	}
	if e := s.log.closed(t, 1); e.Stages[connlog.StageScanWait] <= 0 || e.Stages[connlog.StageScan] <= 0 {
		t.Errorf("close line %+v", e)
	}
}

// A scanner that does not do its work loses no message: it is not accepted, or
// it is delivered and says so.
func TestScannerFails(t *testing.T) {
	dead := "unix:" + t.TempDir() + "/nobody"
	stuck := clamdtest.NewFake(t, func(string) string { time.Sleep(400 * time.Millisecond); return "stream: OK\x00" }).Address
	garbage := clamdtest.NewFake(t, func(string) string { return "stream: yes\x00" }).Address
	half := clamdtest.NewFake(t, func(string) string { return "stream: O" }).Address
	large := clamdtest.NewFake(t, func(string) string { return "INSTREAM size limit exceeded. ERROR\x00" }).Address
	for name, c := range map[string]struct {
		o                scan.Options
		refused, because string
	}{
		"dead":      {scan.Options{Address: dead}, "451 4.3.0 ", "no (no scanner available)"},
		"stuck":     {scan.Options{Address: stuck, Timeout: 50 * time.Millisecond}, "451 4.3.0 ", "no (no scanner available)"},
		"garbage":   {scan.Options{Address: garbage}, "451 4.3.0 ", "no (no scanner available)"},
		"half":      {scan.Options{Address: half}, "451 4.3.0 ", "no (no scanner available)"},
		"large":     {scan.Options{Address: large}, "552 5.3.4 ", "no (too large)"},
		"our limit": {scan.Options{Address: half, MaxBytes: 1}, "552 5.3.4 ", "no (too large)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{Scanners: scanners(t, c.o)}, server.Service{})
			if got := s.greeted(t).mail("hello"); !strings.HasPrefix(got, c.refused) {
				t.Errorf("got %q", got)
			}
			if n := len(s.messages(t, "anna")); n != 0 {
				t.Errorf("anna has %d messages", n)
			}
			s = start(t, Options{Scanners: scanners(t, c.o), PassUnscanned: true, PassTooLarge: true}, server.Service{})
			if got := s.greeted(t).mail("hello"); !strings.HasPrefix(got, "250 ") {
				t.Errorf("passed: got %q", got)
			}
			if got := s.messages(t, "anna"); len(got) != 1 || !strings.Contains(got[0], "\nX-Virus-Scanned: "+c.because+"\n") {
				t.Errorf("anna has %q", got)
			}
			if e := s.log.of(connlog.Fail); len(e) != 0 {
				t.Errorf("the client has failed: %+v", e)
			}
		})
	}
}

// load has a number of clients send a message each, and returns the answers and
// the time that they spent waiting for a scanner.
func load(t *testing.T, s *site, clients int) (answers []string, waited time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range clients {
		c := s.greeted(t)
		all.Go(func() {
			c.try("MAIL FROM:<>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n")
			for range 3 {
				c.reply()
			}
			c.try("hello\r\n.\r\n")
			got := c.reply()
			c.try("QUIT\r\n")
			c.reply()
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, got)
		})
	}
	all.Wait()
	s.log.closed(t, clients)
	for _, e := range s.log.of(connlog.Close) {
		waited += e.Stages[connlog.StageScanWait]
	}
	return answers, waited
}

// gate holds scans back until a number of messages are there, each in its scan
// or waiting for one. It may be used once.
type gate struct {
	scanners *scan.Scanners
	once     sync.Once
}

func (g *gate) wait(messages int) {
	g.once.Do(func() {
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if running, waiting := g.scanners.Load(); running+waiting == messages {
				return
			}
		}
	})
}

// oneOrEight has eight clients send a message at the same time, with one
// scanner and with eight at the address, each of which passes the gate that it
// finds in at, and takes at least the pause.
func oneOrEight(t *testing.T, address string, at *atomic.Pointer[gate], pause time.Duration) {
	t.Helper()
	const clients = 8
	waited := map[int]time.Duration{}
	for _, n := range []int{1, 8} {
		all := scanners(t, scan.Options{Address: address, Scanners: n})
		at.Store(&gate{scanners: all})
		s := start(t, Options{Scanners: all}, server.Service{})
		answers, w := load(t, s, clients)
		if waited[n] = w; !allAccepted(answers) {
			t.Errorf("%d scanners: %q", n, answers)
		}
		var scanned time.Duration
		for _, e := range s.log.of(connlog.Close) {
			scanned += e.Stages[connlog.StageScan]
		}
		if scanned < clients*pause {
			t.Errorf("%d scanners: %v of scans", n, scanned)
		}
	}
	// One after the other, they wait for 0, 1, 2, ... 7 scans.
	if least := pause * clients * (clients - 1) / 2; waited[1] < least {
		t.Errorf("with one scanner %v of waiting, at least %v expected", waited[1], least)
	}
	if waited[8] > waited[1]/2 {
		t.Errorf("%v of waiting with one scanner, %v with eight", waited[1], waited[8])
	}
}

func allAccepted(answers []string) bool {
	for _, a := range answers {
		if !strings.HasPrefix(a, "250 ") {
			return false
		}
	}
	return true
}

// With one scanner the sessions queue up, and the log's stages show it; with
// eight the same load passes.
func TestOneScannerOrEight(t *testing.T) {
	const pause = 20 * time.Millisecond
	var at atomic.Pointer[gate]
	f := clamdtest.NewFake(t, func(m string) string {
		at.Load().wait(8)
		time.Sleep(pause)
		return clamdtest.Clean(m)
	})
	oneOrEight(t, f.Address, &at, pause)
}

// A queue that is full is a temporary failure too.
func TestScannersBusy(t *testing.T) {
	release := make(chan struct{})
	f := clamdtest.NewFake(t, func(string) string { <-release; return "stream: OK\x00" })
	o := scan.Options{Address: f.Address, Scanners: 1, Queue: -1}
	all := scanners(t, o)
	s := start(t, Options{Scanners: all}, server.Service{})
	first := s.greeted(t)
	first.mailTo("anna@example.org")
	first.send("hello\r\n.\r\n")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if running, _ := all.Load(); running == 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not scanned")
		}
	}
	if got := s.greeted(t).mail("hello"); !strings.HasPrefix(got, "451 4.3.0 ") {
		t.Errorf("got %q", got)
	}
	close(release)
	first.expect("250 ")
}

// A client that is banned while its message is scanned has not been told that
// it is accepted, so it is not.
func TestBannedWhileScanned(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	f := clamdtest.NewFake(t, func(string) string { close(begun); <-release; return "stream: OK\x00" })
	all := scanners(t, scan.Options{Address: f.Address})
	s := start(t, Options{Scanners: all}, server.Service{})
	c := s.greeted(t)
	c.mailTo("anna@example.org")
	c.send("hello\r\n.\r\n")
	<-begun
	s.ban("127.0.0.1")
	if e := s.log.closed(t, 1); e.End != connlog.EndBanned || e.Proven {
		t.Errorf("close line %+v", e)
	}
	if busy := s.Status().Services[0].Busy; busy != 0 {
		t.Errorf("%d threads held", busy)
	}
	close(release)
	if err := s.Shutdown(context.Background()); err != nil { // Waits for the session.
		t.Error(err)
	}
	if n := len(s.messages(t, "anna")); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// slowed is a way to a real clamd that takes its time.
func slowed(t *testing.T, address string, pause func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = c.Close() }()
				pause()
				d, err := net.Dial("unix", strings.TrimPrefix(address, "unix:"))
				if err != nil {
					return
				}
				defer func() { _ = d.Close() }()
				running.Go(func() { _, _ = io.Copy(d, c) })
				_, _ = io.Copy(c, d)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

// The same with clamd itself; and when it is killed in the middle, each message
// is either stored or still the client's.
func TestRealScanner(t *testing.T) {
	d := clamdtest.Start(t)
	s := start(t, Options{Scanners: scanners(t, scan.Options{Address: d.Address})}, server.Service{})
	c := s.greeted(t)
	attached := "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n" +
		"Content-Type: application/octet-stream; name=x.com\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString([]byte(clamdtest.EICAR())) + "\r\n--b--"
	for _, text := range []string{clamdtest.EICAR(), attached} {
		if got := c.mail(text); got != "550 5.7.1 Message refused: Eicar-Test-Signature.UNOFFICIAL\r\n" {
			t.Errorf("EICAR: %q", got)
		}
	}
	if got := c.mail(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 30_000)); !strings.HasPrefix(got, "552 5.3.4 ") {
		t.Errorf("over clamd's limit: %q", got)
	}

	const pause = 30 * time.Millisecond
	var at atomic.Pointer[gate]
	slow := slowed(t, d.Address, func() { at.Load().wait(8); time.Sleep(pause) })
	oneOrEight(t, slow, &at, pause)

	s = start(t, Options{Scanners: scanners(t, scan.Options{Address: slow, Scanners: 2})}, server.Service{})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && len(s.messages(t, "anna")) == 0; {
			time.Sleep(time.Millisecond)
		}
		d.Kill()
	}()
	answers, _ := load(t, s, 10)
	<-killed
	accepted := 0
	for _, a := range answers {
		switch {
		case strings.HasPrefix(a, "250 "):
			accepted++
		case !strings.HasPrefix(a, "451 4.3.0 "):
			t.Errorf("while clamd is killed: %q", a)
		}
	}
	if n := len(s.messages(t, "anna")); n != accepted || accepted == 10 {
		t.Errorf("%d accepted, %d stored", accepted, n)
	}
	d.Run(t)
	for ; accepted < 10; accepted++ { // They come again.
		if got := s.greeted(t).mail("hello"); !strings.HasPrefix(got, "250 ") {
			t.Errorf("again: %q", got)
		}
	}
	if n := len(s.messages(t, "anna")); n != 10 {
		t.Errorf("%d messages", n)
	}
}

// A message with a virus is not passed on either, and one that is, says that it
// was scanned.
func TestScanBeforeRelay(t *testing.T) {
	f := clamdtest.NewFake(t, clamdtest.Clean)
	n := newNext(t, nil)
	s := front(t, Relay{Address: n.addr}, Options{Scanners: scanners(t, scan.Options{Address: f.Address})})
	c := s.greeted(t)
	for text, want := range map[string]string{"a virus": "550 5.7.1 ", "hello": "250 "} {
		c.mailTo("x@example.net")
		c.say(text+"\r\n.", want)
	}
	if _, mails, _ := n.seen(); len(mails) != 1 || !strings.Contains(mails[0], "\r\nX-Virus-Scanned: yes\r\nhello\r\n") {
		t.Errorf("taken: %q", mails)
	}
}

func TestSpool(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{0, 1, spoolMemory, spoolMemory + 1, 5 * spoolMemory} {
		s := &spool{dir: dir}
		want := strings.Repeat("x", size)
		for rest := want; rest != ""; rest = rest[min(10_000, len(rest)):] {
			if _, err := io.WriteString(s, rest[:min(10_000, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if inFile := s.file != nil; inFile != (size > spoolMemory) {
			t.Errorf("%d bytes: in a file %v", size, inFile)
		}
		for range 2 {
			if got, err := io.ReadAll(s.reader()); err != nil || string(got) != want {
				t.Errorf("%d bytes: %d read, %v", size, len(got), err)
			}
		}
		s.Close()
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	s := start(t, Options{SpoolDir: dir + "/none"}, server.Service{})
	if got := s.greeted(t).mail(strings.Repeat("hello\r\n", spoolMemory)); !strings.HasPrefix(got, "451 4.3.0 ") {
		t.Errorf("got %q", got)
	}
	if n := len(s.messages(t, "anna")); n != 0 {
		t.Errorf("%d messages", n)
	}
}
