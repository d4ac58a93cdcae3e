package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"overstay/connlog"
	"overstay/internal/app"
)

func namedPipe(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPipeThatNobodyWrites is waited for until the reading is given up.
func TestPipeThatNobodyWrites(t *testing.T) {
	path := namedPipe(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := app.Analyze(ctx, app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{path}}})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for ever")
	}
}

// TestPipeWithALateWriter is read to the end, however late somebody writes and
// however slowly.
func TestPipeWithALateWriter(t *testing.T) {
	path := namedPipe(t)
	written := make(chan error, 1)
	go func() {
		pipe, err := os.OpenFile(path, os.O_WRONLY, 0) // Waits for the reader.
		if err != nil {
			written <- err
			return
		}
		for i := range 100 {
			at := newYear.Add(time.Duration(i) * time.Second)
			e := connlog.Event{Kind: connlog.Open, Time: at, Boot: "b", Seq: uint64(i + 1), Service: "www", Conn: uint64(i + 1), ClientIP: visitor}
			if _, err = pipe.Write(append(connlog.Append(nil, &e), '\n')); err != nil {
				break
			}
		}
		written <- errors.Join(err, pipe.Close())
	}()
	a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: []string{path}}})
	if err := errors.Join(err, <-written); err != nil {
		t.Fatal(err)
	}
	if a.Occupancy.Connections != 100 {
		t.Errorf("%d connections, want 100", a.Occupancy.Connections)
	}
}
