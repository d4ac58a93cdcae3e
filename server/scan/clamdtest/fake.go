package clamdtest

import (
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Fake is a clamd that does as it is told.
type Fake struct {
	// Address is where it listens, as scan.Options wants it.
	Address string

	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	answer  func(message string) string
	conns   map[net.Conn]struct{}
	scans   int
	at      int // once
	highest int
}

// NewFake listens on a socket until the end of the test. The function gets a
// whole message and returns what is answered, with the zero byte that ends it;
// an empty answer hangs up. It may take its time.
func NewFake(t testing.TB, answer func(message string) string) *Fake {
	t.Helper()
	path := filepath.Join(socketDir(t), "fake.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{Address: "unix:" + path, listener: l, answer: answer, conns: make(map[net.Conn]struct{})}
	f.running.Go(f.accept)
	t.Cleanup(f.Stop)
	return f
}

// Clean finds a virus where the word virus stands.
func Clean(message string) string {
	if strings.Contains(message, "virus") {
		return "stream: Test.Virus FOUND\x00"
	}
	return "stream: OK\x00"
}

// Answer changes what is answered.
func (f *Fake) Answer(answer func(message string) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// Scans returns how many messages came, and how many at most at one time.
func (f *Fake) Scans() (all, atOnce int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.scans, f.highest
}

// Stop hangs up on everybody and waits for the answers that are being made.
func (f *Fake) Stop() {
	_ = f.listener.Close() // Twice does no harm.
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close() // It is what they shall see.
	}
	f.mu.Unlock()
	f.running.Wait()
}

func (f *Fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		f.running.Go(func() { f.serve(c) })
	}
}

func (f *Fake) serve(c net.Conn) {
	defer func() {
		f.mu.Lock()
		delete(f.conns, c)
		f.mu.Unlock()
		_ = c.Close() // The answer is out.
	}()
	message, ok := receive(c)
	if !ok {
		return
	}
	f.mu.Lock()
	answer := f.answer
	f.scans++
	f.at++
	f.highest = max(f.highest, f.at)
	f.mu.Unlock()
	text := answer(message)
	f.mu.Lock()
	f.at--
	f.mu.Unlock()
	_, _ = io.WriteString(c, text) // The client may have gone.
}

// receive reads the command and all chunks.
func receive(r io.Reader) (string, bool) {
	command := make([]byte, len("zINSTREAM\x00"))
	if _, err := io.ReadFull(r, command); err != nil || string(command) != "zINSTREAM\x00" {
		return "", false
	}
	var message strings.Builder
	for {
		var n uint32
		if binary.Read(r, binary.BigEndian, &n) != nil {
			return "", false
		}
		if n == 0 {
			return message.String(), true
		}
		if _, err := io.CopyN(&message, r, int64(n)); err != nil {
			return "", false
		}
	}
}
