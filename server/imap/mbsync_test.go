package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"overstay/server"
	"overstay/server/mailstore"
)

// mbsync syncs a Maildir with the server's mail.
type mbsync struct {
	config, local string
}

func newMbsync(t *testing.T, s *site) *mbsync {
	t.Helper()
	if _, err := exec.LookPath("mbsync"); err != nil {
		t.Skip("mbsync (Debian: isync) is not installed")
	}
	dir := t.TempDir()
	m := &mbsync{config: filepath.Join(dir, "mbsyncrc"), local: filepath.Join(dir, "mail")}
	_, port, err := net.SplitHostPort(s.Addr("imap").String())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`IMAPAccount here
Host 127.0.0.1
Port %s
User anna
Pass secret
SSLType None
AuthMechs PLAIN

IMAPStore far
Account here

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
CopyArrivalDate yes
SyncState *
`, port, m.local, m.local)
	if err := errors.Join(os.WriteFile(m.config, []byte(text), 0o600), os.MkdirAll(m.local, 0o700)); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mbsync) sync(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "mbsync", "-c", m.config, "all").CombinedOutput()
	if err != nil {
		t.Fatalf("mbsync: %v\n%s", err, out)
	}
}

// texts returns the messages of a local folder, with the letters of their
// flags, in order.
func (m *mbsync) texts(t *testing.T, folder string) []string {
	t.Helper()
	var l []string
	for _, sub := range []string{"cur", "new"} {
		files, err := filepath.Glob(filepath.Join(m.local, folder, sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			_, flags, _ := strings.Cut(filepath.Base(f), ":2,")
			l = append(l, flags+" "+withoutMark(string(text)))
		}
	}
	slices.Sort(l)
	return l
}

// withoutMark takes away the header line that mbsync adds.
func withoutMark(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "X-TUID:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// farTexts returns the same of the server's.
func farTexts(t *testing.T, s *mailstore.Store, folder string) []string {
	t.Helper()
	m, err := s.OpenFolder("anna", folder)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	l, err := m.Look()
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range l.Messages {
		r, err := m.OpenMessage(l.Messages[i].UID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		flags := ""
		for bit, letter := range "DFPRST" {
			if l.Messages[i].Flags&(1<<bit) != 0 {
				flags += string(letter)
			}
		}
		texts = append(texts, flags+" "+withoutMark(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	slices.Sort(texts)
	return texts
}

// A real client syncs 1,000 messages both ways: nothing is lost, nothing is
// there twice, and flags, removals and folders arrive.
func TestMbsync(t *testing.T) {
	t.Parallel()
	s := start(t, Options{}, server.Service{})
	m := newMbsync(t, s)
	const each = 500
	message := func(where string, i int) string {
		return fmt.Sprintf("From: %s@example.net\nSubject: %s %d\nMessage-ID: <%s%d@example.net>\n\nbody %d\n", where, where, i, where, i, i)
	}
	for i := range each {
		deliver(t, s.mail, "anna", message("far", i))
	}
	if err := s.mail.CreateFolder("anna", "Work"); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(m.local, "INBOX", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range each {
		name := filepath.Join(m.local, "INBOX", "cur", fmt.Sprintf("%d.%d_1.host:2,FS", 1700000000+i, i))
		if err := os.WriteFile(name, []byte(message("near", i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(want int) []string {
		t.Helper()
		m.sync(t)
		near, far := m.texts(t, "INBOX"), farTexts(t, s.mail, mailstore.Inbox)
		if len(far) != want || !slices.Equal(near, far) || len(slices.Compact(slices.Clone(far))) != want {
			t.Fatalf("%d messages near and %d far, want %d", len(near), len(far), want)
		}
		return far
	}
	first := same(2 * each)
	if again := same(2 * each); !slices.Equal(first, again) {
		t.Error("a second sync changed something")
	}

	// Changes on both sides: flags here, removals there, and new mail.
	b, err := s.mail.Open("anna")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l, err := b.Look()
	if err != nil {
		t.Fatal(err)
	}
	var some []uint32
	for i := range l.Messages[:100] {
		some = append(some, l.Messages[i].UID)
	}
	if _, err := b.ChangeFlags(some[:50], mailstore.Seen|mailstore.Replied, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Remove(some[50:]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Copy(some[:10], "Work"); err != nil {
		t.Fatal(err)
	}
	deliver(t, s.mail, "anna", message("far", each))
	files, err := filepath.Glob(filepath.Join(m.local, "INBOX", "cur", "*FS"))
	if err != nil || len(files) != each {
		t.Fatal(len(files), err)
	}
	for _, f := range files[:20] {
		if err := os.Rename(f, strings.TrimSuffix(f, "FS")+"FST"); err != nil {
			t.Fatal(err)
		}
	}
	same(2*each - 50 + 1 - 20)
	if near := m.texts(t, "Work"); len(near) != 10 || !slices.Equal(near, farTexts(t, s.mail, "Work")) {
		t.Errorf("folder: %q", near)
	}
	if f := s.log.closed(t, 1); !f.Proven || f.Fails != 0 {
		t.Errorf("close line %+v", f)
	}
}
