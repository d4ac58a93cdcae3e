package app_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overstay/internal/app"
)

// How large an appended message may be is up to the configuration.
func TestAppendLimit(t *testing.T) {
	r := serve(t, func(c *app.Config) {
		for i := range c.Services {
			c.Services[i].IMAP.MaxMessageBytes = 100
		}
	})
	password, err := os.ReadFile(filepath.Join(r.cfg.State, "postmaster.password"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.address["imap"].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(c)
	for _, step := range [][2]string{
		{"", "* OK"},
		{"a LOGIN postmaster " + strings.TrimSpace(string(password)) + "\r\n", "a OK"},
		{"b APPEND INBOX {101}\r\n", "b NO [TOOBIG]"},
		{"c APPEND INBOX {100}\r\n", "+ "},
	} {
		if _, err := io.WriteString(c, step[0]); err != nil {
			t.Fatal(err)
		}
		if !in.Scan() || !strings.HasPrefix(in.Text(), step[1]) {
			t.Fatalf("%.12q: %q, want %q", step[0], in.Text(), step[1])
		}
	}
}
