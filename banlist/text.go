package banlist

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
)

// maxLineBytes bounds a line of a file that is imported.
const maxLineBytes = 256 << 10

// ErrFormat is wrapped when a file is not of the kind it was taken for.
var ErrFormat = errors.New("banlist: file is in another format")

// Item is one thing that an imported file says: a ban or an allowance.
type Item struct {
	Line  int // where it stands; the first is 1
	Ban   *Ban
	Allow *Allowance
}

// LineError is what is wrong with one line of an imported file.
type LineError struct {
	Line int // the first is 1
	Err  error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// ParseText reads a text list: on each line a form (see ParseForm), and after
// a # the reason. A leading ! makes it an exception, an entry of the allow
// list. Lines that are empty or only a comment are skipped. A bad line is
// yielded as a *LineError and does not end the list; any other error does.
// Items have a prefix and a reason or note, no more.
func ParseText(r io.Reader) iter.Seq2[Item, error] {
	return parseLines(r, func(line string) ([]Item, error) {
		form, reason := cutReason(line)
		if form == "" {
			return nil, nil
		}
		form, exception := strings.CutPrefix(form, "!")
		return items(form, reason, exception)
	})
}

// ParseInverted reads the list that some old mail servers keep of who may
// connect. It begins with *, everybody; after it, !form is a ban and a bare
// form an exception from the bans. Entries are separated by newlines, commas
// or blanks, and # begins a comment. A list that does not begin with *
// forbids everybody it does not name, which bans cannot say; it is an error.
func ParseInverted(r io.Reader) iter.Seq2[Item, error] {
	begun := false
	return parseLines(r, func(line string) ([]Item, error) {
		text, reason := cutReason(line)
		var out []Item
		for form := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
			if !begun {
				if form != "*" {
					return nil, errNotInverted
				}
				begun = true
				continue
			}
			form, ban := strings.CutPrefix(form, "!")
			more, err := items(form, reason, !ban)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		return out, nil
	})
}

var errNotInverted = fmt.Errorf("%w: the list does not begin with *", ErrFormat)

// cutReason splits a line at its comment.
func cutReason(line string) (text, reason string) {
	text, reason, _ = strings.Cut(line, "#")
	return strings.TrimSpace(text), oneLine(reason, maxReasonBytes)
}

// items makes one item of each prefix of a form.
func items(form, reason string, exception bool) ([]Item, error) {
	prefixes, err := ParseForm(strings.TrimSpace(form))
	if err != nil {
		return nil, err
	}
	out := make([]Item, len(prefixes))
	for i, p := range prefixes {
		if exception {
			out[i].Allow = &Allowance{Prefix: p, Note: reason}
		} else {
			out[i].Ban = &Ban{Prefix: p, State: Active, Reason: reason}
		}
	}
	return out, nil
}

// parseLines calls parse for each line and yields what it returns.
func parseLines(r io.Reader, parse func(line string) ([]Item, error)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, maxLineBytes)
		n := 0
		for lines.Scan() {
			n++
			text := lines.Bytes()
			if n == 1 {
				text = bytes.TrimPrefix(text, []byte("\uFEFF")) // A byte order mark.
			}
			found, err := parse(strings.ToValidUTF8(string(text), "\uFFFD"))
			if err != nil && !yield(Item{}, &LineError{Line: n, Err: err}) {
				return
			}
			for _, it := range found {
				it.Line = n
				if !yield(it, nil) {
					return
				}
			}
			if errors.Is(err, ErrFormat) {
				return // What follows would be misread.
			}
		}
		err := lines.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: line %d has more than %d bytes", ErrInvalid, n+1, maxLineBytes)
		}
		if err != nil {
			yield(Item{}, err)
		}
	}
}

// ExportText writes the bans in force and the allow list in the form that
// ParseText reads. The form cannot say that a ban is for some services only:
// those bans are written if they concern the given service, and left out, and
// counted, if they do not. Ends are lost too; JSON keeps everything.
func (l *List) ExportText(ctx context.Context, w io.Writer, service string) (leftOut int, err error) {
	out := bufio.NewWriter(w)
	for b, err := range l.All(ctx, Filter{States: []State{Active}, Brief: true}) {
		if err != nil {
			return leftOut, err
		}
		if len(b.Services) > 0 && (service == "" || !b.Covers(service)) {
			leftOut++
			continue
		}
		writeLine(out, "", b.Prefix, b.Reason)
	}
	allowed, err := l.Allowed(ctx)
	if err != nil {
		return leftOut, err
	}
	for _, a := range allowed {
		writeLine(out, "!", a.Prefix, a.Note)
	}
	return leftOut, out.Flush()
}

// writeLine writes one entry. Errors stay in the writer until Flush.
func writeLine(w *bufio.Writer, mark string, p netip.Prefix, reason string) {
	_, _ = w.WriteString(mark + shortPrefix(p))
	if reason != "" {
		_, _ = w.WriteString(" # " + reason)
	}
	_ = w.WriteByte('\n')
}

// shortPrefix writes one host as an address.
func shortPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
