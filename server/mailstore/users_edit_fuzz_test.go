package mailstore

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whatever stands in the file: if it can be understood, a change changes what
// was asked for and nothing else.
func FuzzEditUsers(f *testing.F) {
	h := hash(f, "x")
	f.Add("# c\r\n anna:" + h + "\nben:" + h)
	f.Add("")
	f.Add("ben:" + h + "\n#\n\n \n")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := parseUsers("users", strings.NewReader(text))
		if err != nil {
			return
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "users")
		writeFile(t, path, text)
		err = DeleteUser(t.Context(), path, "ben")
		if _, was := before.hashes["ben"]; was != (err == nil) {
			t.Fatalf("was there: %v, %v", was, err)
		}
		after, err := parseUsers("users", strings.NewReader(readFile(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		delete(before.hashes, "ben")
		if len(after.hashes) != len(before.hashes) || strings.Count(readFile(t, path), "#") != strings.Count(text, "#") {
			t.Errorf("%q became %q", text, readFile(t, path))
		}
		onlyFiles(t, dir, "users")
	})
}
