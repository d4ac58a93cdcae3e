package imap

import (
	"bytes"
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"
)

// field is one field of a header, as it stands there.
type field struct {
	name string
	raw  []byte // with its line ends
}

// fields splits a header. A line that is no field is left out.
func fields(header []byte) (l []field) {
	open := false // the line before was a field, and may be continued
	for len(header) > 0 {
		end := bytes.IndexByte(header, '\n') + 1
		if end == 0 {
			end = len(header)
		}
		line := header[:end]
		header = header[end:]
		if open && (line[0] == ' ' || line[0] == '\t') && len(bytes.TrimSpace(line)) > 0 {
			last := &l[len(l)-1]
			last.raw = last.raw[:len(last.raw)+len(line)] // They are neighbours.
			continue
		}
		name, _, found := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		open = found && isFieldName(name)
		if open {
			l = append(l, field{name: string(name), raw: line})
		}
	}
	return l
}

// isFieldName tells whether a field can have that name (RFC 5322, 2.2).
func isFieldName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// filter returns the fields with these names, or those with others.
func filter(header []byte, names []string, others bool) []byte {
	var b []byte
	for _, f := range fields(header) {
		named := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.name) })
		if named != others {
			b = append(b, f.raw...)
		}
	}
	return append(b, "\r\n"...)
}

// parseHeader returns a header as the libraries want it. They give up at the
// first line that is no field, so those are left out.
func parseHeader(raw []byte) textproto.Header {
	var h textproto.Header
	for _, f := range slices.Backward(fields(raw)) { // A new field goes to the top.
		h.AddRaw(f.raw)
	}
	return h
}

func messageHeader(raw []byte) gomessage.Header { return gomessage.Header{Header: parseHeader(raw)} }

// envelope returns the envelope of a message.
func envelope(raw []byte) *goimap.Envelope { return imapserver.ExtractEnvelope(parseHeader(raw)) }
