package mailstore

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Flags are the marks on a message, as Maildir has them.
type Flags uint8

// The flags of a message. Passed is resent, forwarded or bounced.
const (
	Draft Flags = 1 << iota
	Flagged
	Passed
	Replied
	Seen
	Trashed

	AllFlags = Draft | Flagged | Passed | Replied | Seen | Trashed
)

// flagLetters are the letters of the flags, in the order of their bits, which
// is that of the alphabet, as Maildir wants it.
const flagLetters = "DFPRST"

// Message is one message of a mailbox.
type Message struct {
	UID   uint32
	Size  int64 // in octets on the wire, with CRLF at the line ends
	Name  string
	Flags Flags
	New   bool // nobody has taken it from the new folder yet

	file string // the name with its flags
}

// Received returns when the message was received.
func (m *Message) Received() time.Time {
	seconds, _, _ := strings.Cut(m.Name, ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n < 0 || n > maxSeconds {
		return time.Unix(0, 0) // Not a name that anybody gives.
	}
	return time.Unix(n, 0)
}

// maxSeconds is the end of the year 9999, which dates of mail cannot pass.
const maxSeconds = 253402300799

// path returns where the message is within its folder.
func (m *Message) path() string {
	if m.New {
		return "new/" + m.file
	}
	return "cur/" + m.file
}

// parseName splits the name of a file into that of the message and its flags.
// It is false for files that are no messages.
func parseName(file string) (name string, flags Flags, ok bool) {
	if file == "" || file[0] == '.' {
		return "", 0, false
	}
	for i := range len(file) {
		if file[i] < ' ' || file[i] == 0x7f {
			return "", 0, false // It would not fit on a line of the UID list.
		}
	}
	name, info, _ := strings.Cut(file, ":")
	if letters, found := strings.CutPrefix(info, "2,"); found {
		for i := range len(letters) {
			if bit := strings.IndexByte(flagLetters, letters[i]); bit >= 0 {
				flags |= 1 << bit
			}
		}
	}
	return name, flags, name != ""
}

// fileName returns the name of the file of a message in cur.
func fileName(name string, flags Flags) string {
	b := make([]byte, 0, len(name)+3+len(flagLetters))
	b = append(append(b, name...), ":2,"...)
	for i := range flagLetters {
		if flags&(1<<i) != 0 {
			b = append(b, flagLetters[i])
		}
	}
	return string(b)
}

// sizedName adds to a unique name what spares readers a look at the file: its
// size, and that on the wire (as Courier and Dovecot have them).
func sizedName(name string, size, wire int64) string {
	return fmt.Sprintf("%s,S=%d,W=%d", name, size, wire)
}

// nameSize returns the number of a field (S or W) of a message's name.
func nameSize(name string, field byte) (int64, bool) {
	for rest := name; ; {
		i := strings.IndexByte(rest, ',')
		if i < 0 {
			return 0, false
		}
		rest = rest[i+1:]
		if len(rest) < 2 || rest[0] != field || rest[1] != '=' {
			continue
		}
		digits := rest[2:]
		if end := strings.IndexByte(digits, ','); end >= 0 {
			digits = digits[:end]
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		return n, err == nil && n >= 0
	}
}

// byArrival orders names of messages by the time in them: first seconds, then
// the fraction that our own names have.
func byArrival(a, b string) int {
	as, af, _ := strings.Cut(a, ".")
	bs, bf, _ := strings.Cut(b, ".")
	if c := compareNumbers(as, bs); c != 0 {
		return c
	}
	if c := compareNumbers(fraction(af), fraction(bf)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// fraction returns the digits of M123P45.
func fraction(s string) string {
	s, found := strings.CutPrefix(s, "M")
	if !found {
		return ""
	}
	end := 0
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	return s[:end]
}

// compareNumbers compares strings of digits without leading zeros as numbers.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
