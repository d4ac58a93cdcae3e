package imap

import (
	"bytes"
	"errors"
	"io"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/server/mailstore"
)

// maxSections is how many sections of a message can be asked for at a time:
// each is an open file.
const maxSections = 64

// errShort means that a file has not the size that its name says.
var errShort = errors.New("imap: the message is shorter than it was")

// Fetch sends what was asked for of messages.
func (s *session) Fetch(w *imapserver.FetchWriter, set goimap.NumSet, o *goimap.FetchOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if len(o.BinarySection)+len(o.BinarySectionSize) > 0 {
		return bad("BINARY is not supported")
	}
	if len(o.BodySection) > maxSections {
		return no(goimap.ResponseCodeLimit, "Too many sections")
	}
	if err := s.refresh(); err != nil {
		return err
	}
	places, err := v.pick(set)
	if err != nil {
		return err
	}
	seen, err := s.markSeen(places, o)
	if err != nil {
		return s.refusal(err, false)
	}
	var gone error
	for _, at := range places {
		i, there := v.listing.Find(v.messages[at].uid)
		if !there {
			gone = mailstore.ErrGone
			continue
		}
		f := &fetched{session: s, message: &v.listing.Messages[i], known: v.messages[at]}
		flags := o.Flags || seen[f.message.UID]
		switch err := f.send(w, uint32(at)+1, o, flags); {
		case errors.Is(err, mailstore.ErrGone):
			gone = err
		case err != nil:
			return err
		}
	}
	if gone != nil {
		return s.refusal(gone, false)
	}
	return nil
}

// markSeen marks messages as seen if what is asked for implies that, and
// returns which were not before.
func (s *session) markSeen(places []int, o *goimap.FetchOptions) (map[uint32]bool, error) {
	v, implied := s.view, false
	for _, item := range o.BodySection {
		implied = implied || !item.Peek
	}
	if !implied || v.readOnly {
		return nil, nil
	}
	var unseen []uint32
	for _, at := range places {
		if v.messages[at].flags&mailstore.Seen == 0 {
			unseen = append(unseen, v.messages[at].uid)
		}
	}
	if len(unseen) == 0 {
		return nil, nil
	}
	changed, err := v.mailbox.ChangeFlags(unseen, mailstore.Seen, 0)
	if err != nil {
		return nil, err
	}
	seen := make(map[uint32]bool, len(changed))
	for _, uid := range changed {
		seen[uid] = true
		v.messages[v.place(uid)].flags |= mailstore.Seen
	}
	v.listing, err = v.mailbox.Look()
	return seen, err
}

// fetched is one message of which something was asked for.
type fetched struct {
	session *session
	message *mailstore.Message
	known   known
	root    *part // nil until it was needed
}

// send writes the response for a message. Once it has begun there is no way
// back: on an error the connection ends.
func (f *fetched) send(w *imapserver.FetchWriter, number uint32, o *goimap.FetchOptions, flags bool) error {
	sections, err := f.prepare(o)
	if err != nil {
		return err
	}
	for _, c := range sections {
		defer func() { _ = c.Close() }() // It was only read.
	}
	r := w.CreateMessage(number)
	if o.UID {
		r.WriteUID(goimap.UID(f.message.UID))
	}
	if flags {
		r.WriteFlags(flagList(f.known.flags, f.known.recent))
	}
	if o.InternalDate {
		r.WriteInternalDate(f.message.Received().UTC())
	}
	if o.RFC822Size {
		r.WriteRFC822Size(f.message.Size)
	}
	if o.Envelope {
		r.WriteEnvelope(envelope(f.root.header))
	}
	if o.BodyStructure != nil {
		r.WriteBodyStructure(bodyStructure(f.root))
	}
	for i, item := range o.BodySection {
		out := r.WriteBodySection(item, sections[i].size)
		n, err := io.Copy(out, sections[i])
		if err == nil && n < sections[i].size {
			err = errShort
		}
		if err = errors.Join(err, out.Close()); err != nil {
			_ = f.session.link.Conn.Close() // Half a response cannot be mended.
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

// prepare opens everything that is asked for, so that a message that is gone
// is found out before the response begins.
func (f *fetched) prepare(o *goimap.FetchOptions) ([]*section, error) {
	if err := f.parse(o); err != nil {
		return nil, err
	}
	sections := make([]*section, 0, len(o.BodySection))
	for _, item := range o.BodySection {
		c, err := f.section(item)
		if err != nil {
			for _, c := range sections {
				_ = c.Close() // It was only read.
			}
			return nil, err
		}
		sections = append(sections, c)
	}
	return sections, nil
}

// parse reads as much of the message as is needed.
func (f *fetched) parse(o *goimap.FetchOptions) error {
	parts, header := o.BodyStructure != nil, o.Envelope
	for _, item := range o.BodySection {
		parts = parts || len(item.Part) > 0
		header = header || item.Specifier != goimap.PartSpecifierNone
	}
	if !parts && !header {
		return nil
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	root, err := parse(r, !parts)
	f.root = root
	return errors.Join(err, r.Close())
}

func (f *fetched) open() (io.ReadCloser, error) {
	r, err := f.session.view.mailbox.OpenMessage(f.message.UID)
	if err != nil && !errors.Is(err, mailstore.ErrGone) {
		return nil, f.session.refusal(err, false)
	}
	return r, err
}

// section is a piece of a message that is sent.
type section struct {
	io.Reader
	size int64
	file io.Closer // nil if it is in memory
}

// Close closes the file.
func (c *section) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// section opens a section (RFC 3501, 6.4.5). One that does not exist is empty.
func (f *fetched) section(item *goimap.FetchItemBodySection) (*section, error) {
	from, to := int64(0), f.message.Size
	if len(item.Part) > 0 || item.Specifier != goimap.PartSpecifierNone {
		p := f.root.find(item.Part)
		if p != nil && len(item.Part) > 0 && item.Specifier != goimap.PartSpecifierNone && item.Specifier != goimap.PartSpecifierMIME {
			if p.isMessage() {
				p = p.children[0]
			} else {
				p = nil
			}
		}
		if p == nil {
			return memory(nil, item.Partial), nil
		}
		if item.Specifier == goimap.PartSpecifierHeader && (len(item.HeaderFields) > 0 || len(item.HeaderFieldsNot) > 0) {
			return memory(chosen(p, item), item.Partial), nil
		}
		from, to = p.body, p.end
		if item.Specifier == goimap.PartSpecifierHeader || item.Specifier == goimap.PartSpecifierMIME {
			from, to = p.start, p.body
		}
		if p == f.root && item.Specifier == goimap.PartSpecifierText || to > f.message.Size {
			to = f.message.Size
		}
	}
	from, to = clip(from, to, item.Partial)
	if from == to {
		return &section{Reader: bytes.NewReader(nil)}, nil
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, r, from); err != nil {
		return nil, errors.Join(f.session.refusal(errShort, false), r.Close())
	}
	return &section{Reader: io.LimitReader(r, to-from), size: to - from, file: r}, nil
}

// chosen returns some of the fields of a header.
func chosen(p *part, item *goimap.FetchItemBodySection) []byte {
	if len(item.HeaderFields) > 0 {
		return filter(p.header, item.HeaderFields, false)
	}
	return filter(p.header, item.HeaderFieldsNot, true)
}

func memory(b []byte, partial *goimap.SectionPartial) *section {
	from, to := clip(0, int64(len(b)), partial)
	return &section{Reader: bytes.NewReader(b[from:to]), size: to - from}
}

// clip returns the piece of a section that was asked for.
func clip(from, to int64, p *goimap.SectionPartial) (int64, int64) {
	if p == nil {
		return from, max(from, to)
	}
	start := min(from+min(p.Offset, max(to-from, 0)), to)
	return start, start + min(p.Size, max(to-start, 0))
}

// bodyStructure describes a message (RFC 3501, 7.4.2).
func bodyStructure(p *part) goimap.BodyStructure {
	h := messageHeader(p.header)
	var disposition *goimap.BodyStructureDisposition
	if value, params, err := h.ContentDisposition(); err == nil && value != "" {
		disposition = &goimap.BodyStructureDisposition{Value: value, Params: params}
	}
	var languages []string
	if l := h.Get("Content-Language"); l != "" {
		languages = []string{l}
	}
	location := h.Get("Content-Location")
	if p.kind == "multipart" && len(p.children) > 0 {
		m := &goimap.BodyStructureMultiPart{Subtype: p.sub, Extended: &goimap.BodyStructureMultiPartExt{
			Params: p.params, Disposition: disposition, Language: languages, Location: location,
		}}
		for _, child := range p.children {
			m.Children = append(m.Children, bodyStructure(child))
		}
		return m
	}
	b := &goimap.BodyStructureSinglePart{
		Type: p.kind, Subtype: p.sub, Params: p.params,
		ID: h.Get("Content-Id"), Description: h.Get("Content-Description"), Encoding: p.encoding,
		Size:     uint32(p.end - p.body),
		Extended: &goimap.BodyStructureSinglePartExt{Disposition: disposition, Language: languages, Location: location},
	}
	switch {
	case p.kind == "text":
		b.Text = &goimap.BodyStructureText{NumLines: p.lines}
	case p.isMessage():
		b.MessageRFC822 = &goimap.BodyStructureMessageRFC822{
			Envelope: envelope(p.children[0].header), BodyStructure: bodyStructure(p.children[0]), NumLines: p.lines,
		}
	case p.kind == "multipart", p.kind == "message" && p.sub == "rfc822":
		// It was not looked into, and those kinds must have parts.
		b.Type, b.Subtype = "application", "octet-stream"
	}
	return b
}
