package server

import (
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The server knows the connection log and nothing else of the project.
func TestImportsOnlyTheLog(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(path, "overstay/") && path != "overstay/connlog" && path != "overstay/server" {
			t.Errorf("server depends on %s", path)
		}
	}
}
