package mailstore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	// As htpasswd -B writes it, with $2y$ for $2a$.
	other := strings.Replace(hash(t, "geheim"), "$2a$", "$2y$", 1)
	writeFile(t, path, "# people\n\nanna:"+hash(t, "secret")+"\n  ben.b:"+other+"  \n")
	u, err := OpenUsers(path, UsersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if u.Len() != 2 || !u.Exists("anna") || !u.Exists("ANNA") || u.Exists("carl") || u.Exists("") {
		t.Error("the wrong users exist")
	}
	for _, c := range []struct {
		name, password, want string
		err                  error
	}{
		{"anna", "secret", "anna", nil},
		{"Anna", "secret", "anna", nil},
		{"ben.b", "geheim", "ben.b", nil},
		{"anna", "geheim", "", ErrLogin},
		{"anna", "", "", ErrLogin},
		{"carl", "secret", "", ErrLogin},
		{"", "", "", ErrLogin},
		{"../anna", "secret", "", ErrLogin},
	} {
		got, err := u.Authenticate(context.Background(), home, c.name, c.password)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%q %q: %q, %v", c.name, c.password, got, err)
		}
	}
}

// An unknown user must cost what a known one does, or a clock would tell them
// apart. The cost in the hash is what the time follows from.
func TestUnknownUsersCostTheSame(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost+2)
	if err != nil {
		t.Fatal(err)
	}
	table, err := parseUsers("users", strings.NewReader("a:"+hash(t, "x")+"\nb:"+string(h)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost(table.nobody); err != nil || cost != bcrypt.MinCost+2 {
		t.Errorf("cost %d, %v", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword(table.nobody, []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("the comparison did not run: %v", err)
	}
}

// And they take the time: without the work, an answer would come a hundred
// times faster.
func TestUnknownUsersTakeTheTime(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("x"), 8)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, "anna:"+string(h)+"\n")
	u, err := OpenUsers(path, UsersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fastest := func(name string) time.Duration {
		best := time.Hour
		for range 3 {
			start := time.Now()
			if _, err := u.Authenticate(context.Background(), home, name, "y"); !errors.Is(err, ErrLogin) {
				t.Error(err)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	if known, unknown := fastest("anna"), fastest("ben"); unknown < known/10 {
		t.Errorf("a known user takes %v, an unknown one %v", known, unknown)
	}
}

func TestBadUserLines(t *testing.T) {
	h := hash(t, "x")
	for text, line := range map[string]int{
		"anna\n":                           1,
		"# ok\nanna:plain\n":               2,
		"anna:" + h + "x\n":                1,
		"anna:" + h + ":1000\n":            1,
		"Anna:" + h + "\n":                 1,
		"../anna:" + h + "\n":              1,
		".anna:" + h + "\n":                1,
		"an/na:" + h + "\n":                1,
		":" + h + "\n":                     1,
		"anna:" + h + "\nanna:" + h:        2,
		"anna:$2a$31$" + h[7:] + "\n":      1,
		"anna:" + h[:50] + "!" + h[51:]:    1,
		"anna:$1" + h[2:] + "\n":           1,
		"\n\n" + strings.Repeat("x", 2000): 3,
	} {
		_, err := parseUsers("users", strings.NewReader(text))
		var bad *UsersError
		if !errors.As(err, &bad) || bad.Line != line || bad.Path != "users" {
			t.Errorf("%.40q: %v, want line %d", text, err, line)
		} else if strings.Contains(err.Error(), h[10:]) {
			t.Errorf("the error quotes the hash: %v", err)
		}
	}
	if _, err := OpenUsers(filepath.Join(t.TempDir(), "none"), UsersOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestUsersFollowTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, "anna:"+hash(t, "x")+"\n")
	u, err := OpenUsers(path, UsersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replace := func(text string) {
		writeFile(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace("ben:" + hash(t, "x") + "\n")
	if u.Exists("anna") || !u.Exists("ben") {
		t.Error("the new file is not read")
	}
	replace("nonsense\n")
	if !u.Exists("ben") {
		t.Error("a wrong file replaced a right one")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !u.Exists("ben") {
		t.Error("a missing file replaced a right one")
	}
	replace("carl:" + hash(t, "x") + "\n")
	if !u.Exists("carl") {
		t.Error("the repaired file is not read")
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add([]byte("# c\nanna:$2a$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde\n"))
	f.Add([]byte("a:b:c\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := parseUsers("users", bytes.NewReader(text))
		if err != nil {
			return
		}
		for name, h := range table.hashes {
			if filepath.Base(name) != name || name == "." || name == ".." || len(h) != 60 {
				t.Errorf("user %q with hash %q", name, h)
			}
		}
	})
}
