package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"overstay/server/scan/clamdtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newScanners fails the test if it cannot.
func newScanners(t testing.TB, o Options) *Scanners {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// look waits and scans.
func look(t testing.TB, s *Scanners, r io.Reader) (Verdict, error) {
	t.Helper()
	turn, err := s.Wait(context.Background())
	if err != nil {
		return Verdict{}, err
	}
	defer turn.Done()
	return turn.Scan(context.Background(), r)
}

func TestRealScanner(t *testing.T) {
	d := clamdtest.Start(t)
	s := newScanners(t, Options{Address: d.Address})
	attached := "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b\n\nhello\n--b\n" +
		"Content-Type: application/octet-stream; name=x.com\nContent-Transfer-Encoding: base64\n\n" +
		base64.StdEncoding.EncodeToString([]byte(clamdtest.EICAR())) + "\n--b--\n"
	for name, c := range map[string]struct {
		text  string
		found string
	}{
		"nothing":         {"", ""},
		"clean":           {"Subject: hi\n\nhello\n", ""},
		"a chunk":         {strings.Repeat("x", chunkBytes), ""},
		"nearly a chunk":  {strings.Repeat("x", chunkBytes-2), ""},
		"a chunk or two":  {strings.Repeat("x", chunkBytes+1), ""},
		"EICAR":           {clamdtest.EICAR(), "Eicar-Test-Signature.UNOFFICIAL"},
		"EICAR in base64": {attached, "Eicar-Test-Signature.UNOFFICIAL"},
		"marker":          {strings.Repeat("x", 3*chunkBytes) + clamdtest.Marker + "\n", "Overstay-Test.UNOFFICIAL"},
	} {
		v, err := look(t, s, strings.NewReader(c.text))
		if err != nil || v.Signature != c.found {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	// clamd hangs up within a message that is over its limit.
	for range 5 {
		if v, err := look(t, s, strings.NewReader(strings.Repeat("x", 8<<20))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("over clamd's limit: %+v, %v", v, err)
		}
	}
	d.Kill()
	if v, err := look(t, s, strings.NewReader("hi")); !errors.Is(err, ErrScanner) || v.Found() {
		t.Errorf("killed: %+v, %v", v, err)
	}
	d.Run(t)
	if v, err := look(t, s, strings.NewReader("hi")); err != nil || v.Found() {
		t.Errorf("again: %+v, %v", v, err)
	}
}

// Only a whole "OK" is one.
func TestAnswers(t *testing.T) {
	f := clamdtest.NewFake(t, clamdtest.Clean)
	s := newScanners(t, Options{Address: f.Address, MaxBytes: 1000})
	for answer, c := range map[string]struct {
		found string
		err   error
	}{
		"stream: OK\x00":                                     {"", nil},
		"stream: X FOUND\x00":                                {"X", nil},
		"stream: Two words (a:1)\x01 FOUND\x00":              {"Two_words_(a:1)_", nil},
		"stream: " + strings.Repeat("y", 200) + " FOUND\x00": {strings.Repeat("y", 100), nil},
		"stream:  FOUND\x00":                                 {"unnamed", nil},
		"stream: FOUND\x00":                                  {"unnamed", nil},
		"INSTREAM size limit exceeded. ERROR\x00":            {"", ErrTooLarge},
		"stream: Can't allocate memory ERROR\x00":            {"", ErrScanner},
		"stream: OK":                                         {"", ErrScanner},
		"stream: OK\n":                                       {"", ErrScanner},
		"stream: OK \x00":                                    {"", ErrScanner},
		"stream: O":                                          {"", ErrScanner},
		"1: stream: OK\x00":                                  {"", ErrScanner},
		"UNKNOWN COMMAND\x00":                                {"", ErrScanner},
		"\x00stream: OK\x00":                                 {"", ErrScanner},
		strings.Repeat("z", 1<<20):                           {"", ErrScanner},
		"":                                                   {"", ErrScanner},
	} {
		f.Answer(func(string) string { return answer })
		v, err := look(t, s, strings.NewReader("hello"))
		if v.Signature != c.found || !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("%.50q: %+v, %v", answer, v, err)
		}
	}
}

func TestOurOwnLimit(t *testing.T) {
	f := clamdtest.NewFake(t, clamdtest.Clean)
	s := newScanners(t, Options{Address: f.Address, MaxBytes: 1000})
	for size, want := range map[int]error{999: nil, 1000: nil, 1001: ErrTooLarge, 1 << 20: ErrTooLarge} {
		if _, err := look(t, s, strings.NewReader(strings.Repeat("x", size))); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if all, _ := f.Scans(); all != 2 {
		t.Errorf("%d messages were scanned", all)
	}
}

// A message that cannot be read is not half a message that is clean.
func TestMessageCannotBeRead(t *testing.T) {
	f := clamdtest.NewFake(t, clamdtest.Clean)
	s := newScanners(t, Options{Address: f.Address})
	broken := errors.New("disk on fire")
	for _, err := range []error{broken, io.ErrUnexpectedEOF} {
		r := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(err))
		if _, got := look(t, s, r); !errors.Is(got, err) || errors.Is(got, ErrScanner) {
			t.Errorf("%v", got)
		}
	}
}

// silent listens and never says a word; reads tells whether it listens at all.
func silent(t *testing.T, reads bool) string {
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
			defer func() { _ = c.Close() }()
			if reads {
				running.Go(func() { _, _ = io.Copy(io.Discard, c) })
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

func TestScannerIsStuck(t *testing.T) {
	for _, reads := range []bool{true, false} {
		s := newScanners(t, Options{Address: silent(t, reads), Timeout: 100 * time.Millisecond})
		_, err := look(t, s, bytes.NewReader(make([]byte, 32<<20)))
		if !errors.Is(err, ErrScanner) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reads %v: %v", reads, err)
		}
		turn, err := s.Wait(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := turn.Scan(ctx, strings.NewReader("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("reads %v, cancelled: %v", reads, err)
		}
		turn.Done()
		turn.Done()
		if _, err := turn.Scan(context.Background(), strings.NewReader("x")); err == nil {
			t.Error("a turn that is over scans")
		}
		if running, waiting := s.Load(); running != 0 || waiting != 0 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
	}
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScanners(t, Options{Address: "unix:none", Scanners: 1, Queue: 2, WaitTimeout: time.Minute})
		first, err := s.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		var waiting sync.WaitGroup
		for i := range 2 {
			waiting.Go(func() {
				turn, err := s.Wait(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i) // One at a time has the turn.
				turn.Done()
			})
			synctest.Wait()
		}
		if _, err := s.Wait(t.Context()); !errors.Is(err, ErrBusy) {
			t.Errorf("queue full: %v", err)
		}
		if running, queued := s.Load(); running != 1 || queued != 2 {
			t.Errorf("%d run, %d wait", running, queued)
		}
		first.Done()
		waiting.Wait()
		if len(order) != 2 || order[0] != 0 {
			t.Errorf("order %v", order)
		}

		last, err := s.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := s.Wait(t.Context()); !errors.Is(err, ErrBusy) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 { // The second one does not even begin.
			if _, err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		last.Done()
	})
}

func TestAtATime(t *testing.T) {
	f := clamdtest.NewFake(t, func(m string) string {
		time.Sleep(5 * time.Millisecond)
		return clamdtest.Clean(m)
	})
	s := newScanners(t, Options{Address: f.Address, Scanners: 3})
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if v, err := look(t, s, strings.NewReader("a virus")); err != nil || v.Signature != "Test.Virus" {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
	all.Wait()
	if n, atOnce := f.Scans(); n != 30 || atOnce > 3 {
		t.Errorf("%d scans, %d at once", n, atOnce)
	}
}

func TestOptions(t *testing.T) {
	for _, address := range []string{"", "unix:", "localhost", "a:b:c"} {
		if _, err := New(Options{Address: address}); !errors.Is(err, ErrOptions) {
			t.Errorf("%q: %v", address, err)
		}
	}
	s := newScanners(t, Options{Address: "127.0.0.1:1", Queue: -1})
	if cap(s.slots) != 4 || cap(s.queue) != 0 {
		t.Errorf("%d slots, %d in the queue", cap(s.slots), cap(s.queue))
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"stream: OK", "stream: X FOUND", "stream: FOUND", "INSTREAM size limit exceeded. ERROR",
		"stream: a\r\nb FOUND", "x", "stream: \xff\u2028 FOUND", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		v, err := parseAnswer(answer)
		if err != nil && v.Found() {
			t.Error("an error and a verdict")
		}
		if err == nil && !v.Found() && string(answer) != "stream: OK" {
			t.Errorf("%q is clean", answer)
		}
		if bytes.HasPrefix(answer, []byte("stream: ")) && bytes.HasSuffix(answer, []byte(" FOUND")) && !v.Found() {
			t.Errorf("%q is not found", answer)
		}
		if len(v.Signature) > maxSignatureBytes {
			t.Errorf("%d bytes of a name", len(v.Signature))
		}
		for _, r := range v.Signature {
			if r <= ' ' || r > '~' {
				t.Errorf("%q in a name", r)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	f := clamdtest.NewFake(b, clamdtest.Clean)
	s := newScanners(b, Options{Address: f.Address})
	message := make([]byte, 100<<10)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := look(b, s, bytes.NewReader(message)); err != nil {
			b.Fatal(err)
		}
	}
}
