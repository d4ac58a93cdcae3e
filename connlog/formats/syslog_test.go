package formats

import (
	"errors"
	"fmt"
	"testing"
)

// TestHeadsAlike reads lines after others of the same minute: what was read
// before, the host above all, changes nothing.
func TestHeadsAlike(t *testing.T) {
	var lines []string
	for _, stamp := range []string{"Nov 23 12:35:16", "Nov 23 12:35:61", "Nov 23 12:35:1x", "Nov 23 12:35:17.5", "2026-11-23T12:35:16Z", "<38>Nov 23 12:35:18", ""} {
		for _, rest := range []string{
			" mx1 postfix/smtpd[12]: hello", " mx1 postfix/smtpd[12]:", " mx1 postfix/smtpd[12]", " mx1 x", " mx1 ", " mx1", " mx1  x: y", "  mx1 x: y", " x: y", " x:", " : y",
			" mx2 x[7: y", " mx1 [x] y", " [x] y", " mx1 mx1 x: y", "mx1 x: y", " ", "",
		} {
			lines = append(lines, stamp+rest)
		}
	}
	f, _ := ByName("syslog")
	for _, before := range lines {
		for _, line := range lines {
			used, fresh := f.NewParser(Options{Year: 2026}), f.NewParser(Options{Year: 2026})
			_ = used.syslog([]byte(before)) // Some are no lines at all.
			got, want := used.syslog([]byte(line)), fresh.syslog([]byte(line))
			a, b := fmt.Sprintf("%d %q %q %q %q", used.head.at, used.head.host, used.head.program, used.head.process, used.head.message),
				fmt.Sprintf("%d %q %q %q %q", fresh.head.at, fresh.head.host, fresh.head.program, fresh.head.process, fresh.head.message)
			if !errors.Is(got, want) || want == nil && a != b {
				t.Errorf("%q after %q: %s (%v), want %s (%v)", line, before, a, got, b, want)
			}
		}
	}
}
