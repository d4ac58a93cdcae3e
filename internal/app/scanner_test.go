package app_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/internal/app"
	"overstay/server/scan/clamdtest"
)

// slowly stands before a clamd, and makes it wait in the middle of each message.
type slowly struct {
	listener net.Listener
	clamd    string
	delay    time.Duration
	running  sync.WaitGroup
}

func newSlowly(t testing.TB, clamd *clamdtest.Daemon, delay time.Duration) *slowly {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowly{listener: l, clamd: strings.TrimPrefix(clamd.Address, "unix:"), delay: delay}
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // It is open.
		s.running.Wait()
	})
	return s
}

// pass takes one message to clamd, and its answer back.
func (s *slowly) pass(c net.Conn) {
	defer func() { _ = c.Close() }() // All is said.
	clamd, err := net.Dial("unix", s.clamd)
	if err != nil {
		return // It is dead.
	}
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.CopyN(clamd, c, int64(len("zINSTREAM\x00")))
		time.Sleep(s.delay)
		_, _ = io.Copy(clamd, c) // Until one of them hangs up.
	})
	if answer, err := io.ReadAll(clamd); err == nil {
		_, _ = c.Write(answer) // The server may have hung up.
	}
	_ = c.Close() // This ends the copy.
	_ = clamd.Close()
	there.Wait()
}

// serveScanning starts a server for mail that has it scanned.
func serveScanning(t *testing.T, address string, scanners int) *running {
	t.Helper()
	users := filepath.Join(t.TempDir(), "users")
	addUser(t, users, user, password)
	return serve(t, func(cfg *app.Config) {
		noLimit(cfg)
		cfg.Detector.Enabled = false
		cfg.Mail.Users = users
		cfg.Scan.Address, cfg.Scan.Scanners = address, scanners
	})
}

// sender is a client that sends mail.
type sender struct {
	*textproto.Conn
	port uint16
}

func (r *running) sender() (*sender, error) {
	c, err := net.Dial("tcp", r.address["smtp"].String())
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // It is open.
	s := &sender{Conn: textproto.NewConn(c), port: netip.MustParseAddrPort(c.LocalAddr().String()).Port()}
	if _, _, err := s.ReadResponse(220); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, s.order("EHLO client.example", 250)
}

func (s *sender) order(line string, code int) error {
	if err := s.PrintfLine("%s", line); err != nil {
		return err
	}
	_, _, err := s.ReadResponse(code)
	return err
}

// send sends a message and returns what the server says of it at last.
func (s *sender) send(text string) (code int, said string, err error) {
	for _, step := range []struct {
		line string
		code int
	}{{"MAIL FROM:<a@example.com>", 250}, {"RCPT TO:<" + user + "@localhost>", 250}, {"DATA", 354}} {
		if err := s.order(step.line, step.code); err != nil {
			return 0, "", err
		}
	}
	if err := s.PrintfLine("%s\r\n.", text); err != nil {
		return 0, "", err
	}
	if said, err = s.ReadLine(); err == nil {
		_, err = fmt.Sscan(said, &code)
	}
	return code, said, err
}

// delivered returns the messages of the user, and fails the test if something
// is left over of others.
func (r *running) delivered() []string {
	r.t.Helper()
	mail := r.cfg.Path(filepath.Join(r.cfg.Mail.Folder, user))
	var all []string
	for _, folder := range []string{"new", "cur"} {
		names, err := filepath.Glob(filepath.Join(mail, folder, "*"))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				r.t.Fatal(err)
			}
			all = append(all, string(text))
		}
	}
	for _, rest := range []string{filepath.Join(mail, "tmp", "*"), r.cfg.Path("spool/*")} {
		if left, _ := filepath.Glob(rest); len(left) > 0 {
			r.t.Errorf("left over: %q", left)
		}
	}
	return all
}

// rush has many clients send a message each at the same time. It returns how
// long that took, and how long each waited for its answer, by its port.
func rush(t *testing.T, r *running, clients int) (whole time.Duration, waited map[uint16]time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	waited = map[uint16]time.Duration{}
	senders := make([]*sender, clients)
	for i := range senders {
		var err error
		if senders[i], err = r.sender(); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	for _, s := range senders {
		all.Go(func() {
			defer func() { _ = s.Close() }() // The answer is there.
			begin := time.Now()
			if code, said, err := s.send("Subject: hello\r\n\r\nhello"); code != 250 || err != nil {
				t.Errorf("answer %q, %v", said, err)
			}
			mu.Lock()
			defer mu.Unlock()
			waited[s.port] = time.Since(begin)
		})
	}
	all.Wait()
	return time.Since(begin), waited
}

// One scanner makes clients wait for each other, and the log says so; several
// are the cure.
func TestOneScannerMakesSessionsWait(t *testing.T) {
	t.Parallel()
	clamd := clamdtest.Start(t)
	const clients, delay = 24, 200 * time.Millisecond
	slow := newSlowly(t, clamd, delay)
	took := map[int]time.Duration{}
	for _, scanners := range []int{1, 8} {
		r := serveScanning(t, slow.listener.Addr().String(), scanners)
		whole, waited := rush(t, r, clients)
		took[scanners] = whole
		r.stop()
		if n := len(r.delivered()); n != clients {
			t.Errorf("%d messages delivered of %d", n, clients)
		}
		ports := map[uint64]uint16{}
		var waits, scans []time.Duration
		for _, e := range r.events() {
			switch e.Kind {
			case connlog.Open:
				ports[e.Conn] = e.ClientPort
			case connlog.Close:
				wait, scan := e.Stages[connlog.StageScanWait], e.Stages[connlog.StageScan]
				waits, scans = append(waits, wait), append(scans, scan)
				if felt := waited[ports[e.Conn]]; felt < wait+scan {
					t.Errorf("a client had its answer after %v, but the log has %v waited and %v scanned", felt, wait, scan)
				}
			}
		}
		slices.Sort(waits)
		t.Logf("%d scanners: %d messages in %v; scan_wait from %v by %v to %v, scan %v at least",
			scanners, clients, whole, waits[0], waits[clients/2], waits[clients-1], slices.Min(scans))
		if slices.Min(scans) < delay {
			t.Errorf("a scan of %v, where each takes %v", slices.Min(scans), delay)
		}
		// All of them began before half of the messages were scanned.
		if scanners == 1 && (waits[clients-1] < clients/2*delay || waits[clients/2] < clients/4*delay) {
			t.Errorf("with one scanner, they waited only %v", waits)
		}
	}
	if ratio := float64(took[1]) / float64(took[8]); ratio < 4 {
		t.Errorf("with 8 scanners, the same load took %v, with one %v: only %.1f times as long", took[8], took[1], ratio)
	}
}

// attached returns a message with a file in it.
func attached(file string) string {
	return "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee there.\r\n" +
		"--b\r\nContent-Type: application/octet-stream; name=a.com\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=a.com\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(file)) + "\r\n--b--"
}

func TestVirusIsRefusedByName(t *testing.T) {
	t.Parallel()
	r := serveScanning(t, clamdtest.Start(t).Address, 2)
	s, err := r.sender()
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"plain": clamdtest.EICAR(), "attached": attached(clamdtest.EICAR())} {
		if code, said, err := s.send(text); code != 550 || !strings.HasPrefix(said, "550 5.7.1 ") || !strings.Contains(said, "Eicar-Test-Signature") {
			t.Errorf("%s: %q, %v", what, said, err)
		}
	}
	if code, said, err := s.send(attached("harmless")); code != 250 {
		t.Errorf("harmless: %q, %v", said, err)
	}
	_ = s.Close() // All is said.
	r.stop()
	if n := len(r.delivered()); n != 1 {
		t.Errorf("%d messages delivered, want the harmless one", n)
	}
	fails := 0
	for _, e := range r.events() {
		if e.Kind == connlog.Fail && e.What == connlog.FailVirus {
			fails++
		}
	}
	if fails != 2 {
		t.Errorf("%d fail events of a virus, want 2", fails)
	}
}

// clamd is killed while messages are scanned and comes back: a message that
// was accepted is there once, and one that was not is not.
func TestScannerIsKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	clamd := clamdtest.Start(t)
	slow := newSlowly(t, clamd, 10*time.Millisecond)
	r := serveScanning(t, slow.listener.Addr().String(), 4)
	var mu sync.Mutex
	answers := map[string]int{}
	var accepted, refused, number atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				s, err := r.sender()
				for err == nil {
					select {
					case <-stop:
						_ = s.Close() // All is said.
						return
					default:
					}
					id := fmt.Sprintf("number %d.", number.Add(1))
					var code int
					if code, _, err = s.send("Subject: x\r\n\r\n" + id); code == 250 {
						accepted.Add(1)
					} else if code == 451 {
						refused.Add(1)
						time.Sleep(10 * time.Millisecond) // As the code asks for.
					}
					mu.Lock()
					answers[id] = code
					mu.Unlock()
				}
				var hungUp *textproto.Error // Somebody who fails too often is sent away before a message.
				if !errors.As(err, &hungUp) || hungUp.Code != 421 {
					t.Errorf("no answer: %v", err)
					return
				}
				_ = s.Close() // It is told.
			}
		})
	}
	more := func(what *atomic.Int64) func() bool {
		want := what.Load() + 20
		return func() bool { return what.Load() >= want }
	}
	eventually(t, "messages are accepted", more(&accepted))
	clamd.Kill()
	eventually(t, "messages are refused", more(&refused))
	clamd.Run(t)
	eventually(t, "messages are accepted again", more(&accepted))
	close(stop)
	clients.Wait()
	r.stop()
	text := strings.Join(r.delivered(), "\n")
	for id, code := range answers {
		want := 0
		if code == 250 {
			want = 1
		} else if code != 451 && code != 0 {
			t.Errorf("%s: answer %d", id, code)
		}
		if n := strings.Count(text, id); n != want {
			t.Errorf("%s: answer %d, and it is there %d times", id, code, n)
		}
	}
	t.Logf("%d accepted, %d refused", accepted.Load(), refused.Load())
}
