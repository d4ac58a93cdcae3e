package imap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"overstay/server/mailstore"
)

const (
	// maxKeys bounds how many conditions a search has, and maxTexts how many
	// of them read every message.
	maxKeys  = 1000
	maxTexts = 16
	// cutInterval is after how many messages a search sees whether it was
	// ended.
	cutInterval = 64
)

// Search looks for messages.
func (s *session) Search(kind imapserver.NumKind, c *goimap.SearchCriteria, o *goimap.SearchOptions) (*goimap.SearchData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.ReturnSave {
		return nil, bad("SEARCHRES is not supported")
	}
	q := &query{session: s, view: s.view}
	if err := q.check(c); err != nil {
		return nil, err
	}
	if err := s.refresh(); err != nil {
		return nil, err
	}
	d := &goimap.SearchData{}
	var numbers goimap.SeqSet
	var uids goimap.UIDSet
	for at := range s.view.messages {
		if at%cutInterval == 0 && s.link.cut() {
			return nil, io.ErrClosedPipe // Nobody waits for it any more.
		}
		fits, err := q.fits(at, c)
		if err != nil {
			return nil, s.refusal(err, false)
		}
		if !fits {
			continue
		}
		n := uint32(at) + 1
		if kind == imapserver.NumKindUID {
			n = s.view.messages[at].uid
			uids.AddNum(goimap.UID(n))
		} else {
			numbers.AddNum(n)
		}
		if d.Count == 0 {
			d.Min = n
		}
		d.Max = n
		d.Count++
	}
	d.All = numbers
	if kind == imapserver.NumKindUID {
		d.All = uids
	}
	return d, nil
}

// query is a search. It keeps what was read of the message that it is at.
type query struct {
	session *session
	view    *view
	keys    int
	texts   int

	at     int
	header *mail.Header // of the message at at, nil if it was not read
}

// check bounds what a search may cost.
func (q *query) check(c *goimap.SearchCriteria) error {
	q.keys += 1 + len(c.SeqNum) + len(c.UID) + len(c.Header) + len(c.Flag) + len(c.NotFlag)
	q.texts += len(c.Body) + len(c.Text)
	if q.keys > maxKeys || q.texts > maxTexts {
		return no(goimap.ResponseCodeLimit, "Too many conditions")
	}
	for i := range c.UID {
		if goimap.IsSearchRes(c.UID[i]) {
			return bad("SEARCHRES is not supported")
		}
	}
	for i := range c.Not {
		if err := q.check(&c.Not[i]); err != nil {
			return err
		}
	}
	for i := range c.Or {
		if err := errors.Join(q.check(&c.Or[i][0]), q.check(&c.Or[i][1])); err != nil {
			return no(goimap.ResponseCodeLimit, "Too many conditions")
		}
	}
	return nil
}

// fits tells whether a message meets all conditions, the cheap ones first.
func (q *query) fits(at int, c *goimap.SearchCriteria) (bool, error) {
	if at != q.at {
		q.at, q.header = at, nil
	}
	k := &q.view.messages[at]
	i, there := q.view.listing.Find(k.uid)
	if !there {
		return false, nil // It is gone.
	}
	m := &q.view.listing.Messages[i]
	if !q.inSets(at, c) || !hasFlags(k, c) || !inDays(m.Received().UTC(), c.Since, c.Before) ||
		c.Larger != 0 && m.Size <= c.Larger || c.Smaller != 0 && m.Size >= c.Smaller {
		return false, nil
	}
	for i := range c.Not {
		if fits, err := q.fits(at, &c.Not[i]); fits || err != nil {
			return false, err
		}
	}
	for i := range c.Or {
		fits, err := q.fits(at, &c.Or[i][0])
		if !fits && err == nil {
			fits, err = q.fits(at, &c.Or[i][1])
		}
		if !fits || err != nil {
			return false, err
		}
	}
	fits, err := q.fitsText(m, c)
	if errors.Is(err, mailstore.ErrGone) {
		return false, nil
	}
	return fits, err
}

// inSets tells whether a message is in all sets of numbers.
func (q *query) inSets(at int, c *goimap.SearchCriteria) bool {
	number, count := uint32(at)+1, uint32(len(q.view.messages))
	for _, set := range c.SeqNum {
		in := false
		for _, r := range set {
			from, to := between(r.Start, r.Stop, count)
			in = in || from <= number && number <= to
		}
		if !in {
			return false
		}
	}
	uid, last := q.view.messages[at].uid, q.view.messages[count-1].uid
	for _, set := range c.UID {
		in := false
		for _, r := range set {
			from, to := between(uint32(r.Start), uint32(r.Stop), last)
			in = in || from <= uid && uid <= to
		}
		if !in {
			return false
		}
	}
	return true
}

func hasFlags(k *known, c *goimap.SearchCriteria) bool {
	has := func(flag goimap.Flag) bool {
		if strings.EqualFold(string(flag), string(recent)) {
			return k.recent
		}
		return k.flags&flagsOf([]goimap.Flag{flag}) != 0
	}
	for _, flag := range c.Flag {
		if !has(flag) {
			return false
		}
	}
	for _, flag := range c.NotFlag {
		if has(flag) {
			return false
		}
	}
	return true
}

// inDays compares days without regard to time and zone (RFC 3501, 6.4.4).
func inDays(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !day.Before(since)) && (before.IsZero() || day.Before(before))
}

// fitsText looks into the message.
func (q *query) fitsText(m *mailstore.Message, c *goimap.SearchCriteria) (bool, error) {
	if len(c.Header) > 0 || !c.SentSince.IsZero() || !c.SentBefore.IsZero() {
		if err := q.readHeader(m); err != nil {
			return false, err
		}
		sent, err := q.header.Date()
		if (!c.SentSince.IsZero() || !c.SentBefore.IsZero()) && (err != nil || !inDays(sent, c.SentSince, c.SentBefore)) {
			return false, nil
		}
	}
	for _, h := range c.Header {
		if !headerContains(q.header.FieldsByKey(h.Key), h.Value) {
			return false, nil
		}
	}
	for _, text := range c.Text {
		if found, err := q.contains(m, text, true); !found || err != nil {
			return false, err
		}
	}
	for _, text := range c.Body {
		if found, err := q.contains(m, text, false); !found || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (q *query) readHeader(m *mailstore.Message) error {
	if q.header != nil {
		return nil
	}
	r, err := q.view.mailbox.OpenMessage(m.UID)
	if err != nil {
		return err
	}
	root, err := parse(r, true)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	q.header = &mail.Header{Header: messageHeader(root.header)}
	return nil
}

func headerContains(fields gomessage.HeaderFields, text string) bool {
	for fields.Next() {
		value, _ := fields.Text() // In an unknown charset it is as it stands there.
		if strings.Contains(strings.ToLower(value), strings.ToLower(text)) {
			return true
		}
	}
	return false
}

// contains tells whether a text is in a message, decoded where that is known
// how.
func (q *query) contains(m *mailstore.Message, text string, withHeader bool) (bool, error) {
	r, err := q.view.mailbox.OpenMessage(m.UID)
	if err != nil {
		return false, err
	}
	defer func() { _ = r.Close() }() // It was only read.
	e, err := gomessage.Read(r)
	if e == nil {
		_ = err // Not a message in the library's eyes, so it is searched as it is.
		return q.containsRaw(m, text)
	}
	return entityContains(e, []byte(strings.ToLower(text)), withHeader, maxDepth), nil
}

func (q *query) containsRaw(m *mailstore.Message, text string) (bool, error) {
	r, err := q.view.mailbox.OpenMessage(m.UID)
	if err != nil {
		return false, err
	}
	return streamContains(r, []byte(strings.ToLower(text))), r.Close()
}

func entityContains(e *gomessage.Entity, text []byte, withHeader bool, depth int) bool {
	if withHeader && headerContains(e.Header.Fields(), string(text)) {
		return true
	}
	parts := e.MultipartReader()
	if parts == nil || depth == 0 {
		return streamContains(e.Body, text)
	}
	for range maxParts {
		p, err := parts.NextPart()
		if p == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
			return false
		}
		if entityContains(p, text, withHeader, depth-1) {
			return true
		}
	}
	return false
}

// streamContains looks for a text in lower case, piece by piece.
func streamContains(r io.Reader, text []byte) bool {
	if len(text) == 0 {
		return true
	}
	const pieceBytes = 32 << 10
	keep := 4 * len(text) // Characters may be longer in the other case.
	buf := make([]byte, 0, pieceBytes+keep)
	for {
		n, err := io.ReadAtLeast(r, buf[len(buf):cap(buf)], 1)
		buf = buf[:len(buf)+n]
		if bytes.Contains(bytes.ToLower(buf), text) {
			return true
		}
		if err != nil {
			return false
		}
		if len(buf) > keep {
			buf = buf[:copy(buf, buf[len(buf)-keep:])]
		}
	}
}
