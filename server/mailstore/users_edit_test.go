package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func onlyFiles(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, want) {
		t.Errorf("in the folder: %q, want %q", names, want)
	}
}

func TestEditUsers(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "deep")
	path := filepath.Join(dir, "users")
	if err := SetPassword(ctx, path, "anna", "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := AddUser(ctx, path, "anna", "secret"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file: %v, %v", info, err)
	}
	if cost := costOfLine(readFile(t, path)); cost != bcrypt.DefaultCost {
		t.Errorf("cost %d", cost)
	}
	writeFile(t, path, "anna:"+hash(t, "secret")+"\n") // A cheaper one.
	u, err := OpenUsers(path, UsersOptions{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, password string, want error) {
		t.Helper()
		if _, err := u.Authenticate(ctx, home, name, password); !errors.Is(err, want) {
			t.Errorf("%s with %q: %v, want %v", name, password, err, want)
		}
	}
	check("anna", "secret", nil)
	if err := AddUser(ctx, path, "ben", "geheim"); err != nil {
		t.Fatal(err)
	}
	check("ben", "geheim", nil) // A running server knows at once.
	if err := AddUser(ctx, path, "anna", "other"); !errors.Is(err, ErrUserExists) {
		t.Errorf("twice: %v", err)
	}
	if err := SetPassword(ctx, path, "anna", "changed"); err != nil {
		t.Fatal(err)
	}
	check("anna", "changed", nil)
	check("anna", "secret", ErrLogin)
	check("ben", "geheim", nil)
	if err := DeleteUser(ctx, path, "anna"); err != nil {
		t.Fatal(err)
	}
	check("anna", "changed", ErrLogin)
	if names, err := UserNames(path); err != nil || !slices.Equal(names, []string{"ben"}) {
		t.Errorf("names %q, %v", names, err)
	}
	if err := DeleteUser(ctx, path, "anna"); !errors.Is(err, ErrNoUser) {
		t.Errorf("deleted twice: %v", err)
	}
	if err := SetPassword(ctx, path, "carl", "x"); !errors.Is(err, ErrNoUser) {
		t.Errorf("nobody's password: %v", err)
	}
	onlyFiles(t, dir, "users")
}

// Everything that is not the line of that user stays, to the byte.
func TestEditKeepsTheRest(t *testing.T) {
	h := hash(t, "x")
	other := strings.Replace(h, "$2a$", "$2y$", 1)
	text := "# people\r\n\n  anna:" + h + "  \r\n#ben:off\n\tben:" + other + "\n# end"
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, text)
	if err := SetPassword(t.Context(), path, "ben", "y"); err != nil {
		t.Fatal(err)
	}
	head, tail, found := strings.Cut(readFile(t, path), "ben:$2a$04$")
	if !found || head != "# people\r\n\n  anna:"+h+"  \r\n#ben:off\n" || len(tail) != 53+len("\n# end") || !strings.HasSuffix(tail, "\n# end") {
		t.Errorf("after passwd: %q", readFile(t, path))
	}
	if err := DeleteUser(t.Context(), path, "ben"); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, path); got != head+"# end" {
		t.Errorf("after del: %q", got)
	}
	if err := AddUser(t.Context(), path, "carl", "z"); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, path); !strings.HasPrefix(got, head+"# end\ncarl:$2a$04$") {
		t.Errorf("after add: %q", got)
	}
}

// A new user's hash costs what the dearest one does, or a clock would tell who
// exists; and a changed password what the old one did.
func TestEditKeepsTheCost(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("x"), 5)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, "anna:"+hash(t, "x")+"\nben:"+string(h)+"\n")
	if err := AddUser(t.Context(), path, "carl", "x"); err != nil {
		t.Fatal(err)
	}
	if err := SetPassword(t.Context(), path, "anna", "y"); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"anna": bcrypt.MinCost, "ben": 5, "carl": 5}
	for line := range strings.Lines(readFile(t, path)) {
		if name := userOfLine(line); costOfLine(line) != want[name] {
			t.Errorf("%s: cost %d, want %d", name, costOfLine(line), want[name])
		}
	}
}

func TestUsersNobodyCanHave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	for _, name := range []string{"", "Anna", "an na", "a:b", "#a", "../a", "a/b", "a\nb", ".a", "ä", strings.Repeat("a", 65)} {
		if err := AddUser(t.Context(), path, name, "x"); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	writeFile(t, path, "anna:"+hash(t, "x")+"\n")
	for _, password := range []string{"", strings.Repeat("a", 73), strings.Repeat("ä", 37), "a\x00b", "a\nb", "a\rb"} {
		for _, err := range []error{AddUser(t.Context(), path, "ben", password), SetPassword(t.Context(), path, "anna", password)} {
			if !errors.Is(err, ErrPassword) {
				t.Errorf("%q: %v", password, err)
			} else if password != "" && strings.Contains(err.Error(), password) {
				t.Errorf("the error quotes the password: %v", err)
			}
		}
	}
	if err := SetPassword(t.Context(), path, "anna", strings.Repeat("a", 72)); err != nil {
		t.Errorf("the longest password: %v", err)
	}
}

// What cannot be understood is not made worse.
func TestEditRefusesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users")
	const text = "anna:plain\n"
	writeFile(t, path, text)
	var bad *UsersError
	for _, err := range []error{
		AddUser(t.Context(), path, "ben", "x"), SetPassword(t.Context(), path, "anna", "x"), DeleteUser(t.Context(), path, "anna"),
	} {
		if !errors.As(err, &bad) {
			t.Errorf("a wrong line: %v", err)
		}
	}
	if _, err := UserNames(path); !errors.As(err, &bad) {
		t.Errorf("names of a wrong file: %v", err)
	}
	if readFile(t, path) != text {
		t.Error("the file was changed")
	}
	onlyFiles(t, dir, "users")

	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nothing"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, dir} {
		if err := AddUser(t.Context(), path, "ben", "x"); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}

// A link stays one, and so do owner and the group's right to read.
func TestEditKeepsTheFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "users"), filepath.Join(dir, "link")
	writeFile(t, path, "anna:"+hash(t, "x")+"\n")
	if err := os.Symlink("users", link); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]fs.FileMode{0o600: 0o600, 0o640: 0o640, 0o666: 0o640, 0o400: 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 && mode == 0o400 {
			continue // Only root may.
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(path, 1234, 4321); err != nil {
				t.Fatal(err)
			}
		}
		if err := SetPassword(t.Context(), link, "anna", "y"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %o became %v, %v", mode, info, err)
		}
		if st := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (st.Uid != 1234 || st.Gid != 4321) {
			t.Errorf("now it belongs to %d:%d", st.Uid, st.Gid)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	onlyFiles(t, dir, "link", "users")
}

// Many change the file at the same time, also in the moment in which it is
// made: no change is lost, and readers always see a whole file.
func TestConcurrentEdits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users")
	first := func(string) (string, error) { return "anna:" + hash(t, "x") + "\n", nil }
	var editors, readers sync.WaitGroup
	stop := make(chan struct{})
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := UserNames(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
	for i := range 8 {
		editors.Go(func() {
			if err := createUsers(path, first); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
			for _, name := range []string{fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)} {
				if err := AddUser(t.Context(), path, name, "x"); err != nil {
					t.Error(err)
				}
			}
			if err := DeleteUser(t.Context(), path, fmt.Sprintf("b%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	editors.Wait()
	close(stop)
	readers.Wait()
	names, err := UserNames(path)
	slices.Sort(names)
	if want := []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "anna"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	onlyFiles(t, dir, "users")
}

// An editor that asks for no lock loses nothing.
func TestEditSeesOtherChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	h := hash(t, "x")
	writeFile(t, path, "anna:"+h+"\n")
	times := 0
	err := editUsers(t.Context(), path, func(text string) (string, error) {
		if times++; times == 1 {
			writeFile(t, path, "anna:"+h+"\nben:"+h+"\n") // In place, as some do.
		}
		return text + "carl:" + h + "\n", nil
	})
	if err != nil || times != 2 {
		t.Errorf("after %d times: %v", times, err)
	}
	if names, err := UserNames(path); err != nil || len(names) != 3 {
		t.Errorf("%q, %v", names, err)
	}
	// Not even one that keeps the size.
	if err := os.Chtimes(path, time.Time{}, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	times = 0
	err = editUsers(t.Context(), path, func(text string) (string, error) {
		if times++; times == 1 {
			writeFile(t, path, strings.Replace(text, "ben:", "bea:", 1))
		}
		return text + "# end\n", nil
	})
	if names, e := UserNames(path); err != nil || e != nil || times != 2 || !slices.Contains(names, "bea") {
		t.Errorf("after %d times: %q, %v, %v", times, names, err, e)
	}
	err = editUsers(t.Context(), path, func(text string) (string, error) {
		writeFile(t, path, text+"#\n")
		return text, nil
	})
	if !errors.Is(err, ErrUsersBusy) {
		t.Errorf("changed all the time: %v", err)
	}
	onlyFiles(t, filepath.Dir(path), "users")
}

func TestEditWaitsForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	writeFile(t, path, "anna:"+hash(t, "x")+"\n")
	f, err := lockUsers(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := DeleteUser(ctx, path, "anna"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is locked: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := DeleteUser(t.Context(), path, "anna"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// On a full disk the old file stays, and nothing beside it.
func TestEditOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "users")
	text := "anna:" + hash(t, "x") + "\n" + strings.Repeat("# "+strings.Repeat("x", 77)+"\n", 500)
	writeFile(t, path, text) // More than half of it.
	if err := DeleteUser(t.Context(), path, "anna"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full: %v", err)
	}
	if readFile(t, path) != text {
		t.Error("the file was changed")
	}
	onlyFiles(t, dir, "users")
}
