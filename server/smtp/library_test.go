package smtp

import (
	"bytes"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
)

// A client that resets its connection costs no line, what is wrong here does.
func TestLibraryLog(t *testing.T) {
	var out bytes.Buffer
	l := libraryLog{slog.New(slog.NewTextHandler(&out, nil))}
	l.Printf("error handling %v: %v", "192.0.2.1:4", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	if out.Len() > 0 {
		t.Errorf("a reset is logged: %s", &out)
	}
	l.Printf("handling %v command: %v", "FETCH", &fs.PathError{Op: "open", Path: "new", Err: syscall.EMFILE})
	l.Printf("panic: %v", "out of range")
	if s := out.String(); strings.Count(s, "level=WARN") != 2 || !strings.Contains(s, "too many open files") {
		t.Errorf("logged: %s", s)
	}
}
