package imap

import (
	"errors"
	"slices"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/server/mailstore"
)

// known is a message as the client knows it. Its place in the view is its
// sequence number less one.
type known struct {
	uid    uint32
	flags  mailstore.Flags
	recent bool
}

// view is what a client knows of the selected mailbox.
type view struct {
	mailbox  *mailstore.Mailbox
	readOnly bool
	validity uint32
	messages []known            // in the order of their UIDs
	listing  *mailstore.Listing // the last one

	looked time.Time
	took   time.Duration
}

const (
	// quickLook is how fast a look at the mailbox is that may follow on every
	// command.
	quickLook = 50 * time.Millisecond
	// lookShare bounds the part of the time that is spent on slower ones.
	lookShare = 20
)

// errReplaced means that the selected mailbox is not the same any more.
var errReplaced = errors.New("imap: the mailbox was replaced")

// Select opens a mailbox.
func (s *session) Select(folder string, o *goimap.SelectOptions) (*goimap.SelectData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.protocol.options.Store.OpenFolder(s.user, folder)
	if err != nil {
		return nil, s.refusal(err, false)
	}
	v := &view{mailbox: m, readOnly: o.ReadOnly}
	l, taken, err := v.look()
	if err != nil {
		m.Close()
		return nil, s.refusal(err, false)
	}
	v.validity = l.Validity
	v.add(l, taken)
	s.view = v

	d := &goimap.SelectData{
		Flags:       flagList(mailstore.AllFlags, false),
		NumMessages: uint32(len(v.messages)), NumRecent: v.countRecent(),
		UIDNext: goimap.UID(l.Next), UIDValidity: l.Validity,
	}
	if !v.readOnly {
		d.PermanentFlags = d.Flags
	}
	if i := slices.IndexFunc(v.messages, func(k known) bool { return k.flags&mailstore.Seen == 0 }); i >= 0 {
		d.FirstUnseenSeqNum = uint32(i) + 1
	}
	return d, nil
}

// Unselect closes the mailbox, if there is one.
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view != nil {
		s.view.mailbox.Close()
		s.view = nil
	}
	return nil
}

// look reads the mailbox, and takes what is new.
func (v *view) look() (*mailstore.Listing, []uint32, error) {
	start := time.Now()
	l, err := v.mailbox.Look()
	if err != nil {
		return nil, nil, err
	}
	var taken []uint32
	if !v.readOnly && slices.ContainsFunc(l.Messages, func(m mailstore.Message) bool { return m.New }) {
		if taken, err = v.mailbox.TakeNew(); err == nil {
			l, err = v.mailbox.Look()
		}
		if err != nil {
			return nil, nil, err
		}
	}
	v.looked, v.took, v.listing = time.Now(), time.Since(start), l
	return l, taken, nil
}

// refresh finds out what is still there, without telling the client.
func (s *session) refresh() error {
	l, err := s.view.mailbox.Look()
	if err == nil && l.Validity != s.view.validity {
		err = errReplaced
	}
	if err != nil {
		_ = s.lost(err) // It is refused in any case.
		return s.refusal(err, false)
	}
	s.view.listing = l
	return nil
}

// add takes up messages that the client does not know yet, and returns how
// many. They follow all it knows: UIDs only grow.
func (v *view) add(l *mailstore.Listing, taken []uint32) int {
	from := 0
	if n := len(v.messages); n > 0 {
		at, found := l.Find(v.messages[n-1].uid)
		if from = at; found {
			from++
		}
	}
	for i := range l.Messages[from:] {
		m := &l.Messages[from+i]
		_, isRecent := slices.BinarySearch(taken, m.UID)
		isRecent = isRecent || m.New
		v.messages = append(v.messages, known{uid: m.UID, flags: m.Flags, recent: isRecent})
	}
	return len(l.Messages) - from
}

func (v *view) countRecent() (n uint32) {
	for i := range v.messages {
		if v.messages[i].recent {
			n++
		}
	}
	return n
}

// update brings the client up to date. If the mailbox cannot be read now, it
// is another time.
func (s *session) update(w *imapserver.UpdateWriter, allowExpunge bool) error {
	v := s.view
	l, taken, err := v.look()
	if err == nil && l.Validity != v.validity {
		err = errReplaced
	}
	switch {
	case err == nil:
		return v.tell(w, l, taken, allowExpunge)
	case s.lost(err):
		return err
	}
	s.protocol.options.Logger.Error("mailbox not read", "conn", s.link.admitted.ID(), "user", s.user, "error", err)
	return nil
}

// lost tells whether the mailbox is not there any more, and if so ends the
// conversation.
func (s *session) lost(err error) bool {
	if !errors.Is(err, errReplaced) && !errors.Is(err, mailstore.ErrNoFolder) {
		return false
	}
	s.link.bye("The mailbox was deleted")
	return true
}

// tell tells the client what has changed.
func (v *view) tell(w *imapserver.UpdateWriter, l *mailstore.Listing, taken []uint32, allowExpunge bool) error {
	if allowExpunge {
		if err := v.expunge(w.WriteExpunge); err != nil {
			return err
		}
	}
	if n := v.add(l, taken); n > 0 {
		if err := w.WriteNumMessages(uint32(len(v.messages))); err != nil {
			return err
		}
		if err := w.WriteNumRecent(v.countRecent()); err != nil {
			return err
		}
	}
	return v.tellFlags(w)
}

// expunge drops the messages that are gone, the last one first, so that no
// number changes before it is told.
func (v *view) expunge(write func(number uint32) error) error {
	for i := len(v.messages) - 1; i >= 0; i-- {
		if _, there := v.listing.Find(v.messages[i].uid); there {
			continue
		}
		if err := write(uint32(i) + 1); err != nil {
			return err
		}
		v.messages = slices.Delete(v.messages, i, i+1)
	}
	return nil
}

// tellFlags tells of flags that somebody else has changed.
func (v *view) tellFlags(w *imapserver.UpdateWriter) error {
	for i := range v.messages {
		k := &v.messages[i]
		at, there := v.listing.Find(k.uid)
		if !there || v.listing.Messages[at].Flags == k.flags {
			continue
		}
		k.flags = v.listing.Messages[at].Flags
		if err := w.WriteMessageFlags(uint32(i)+1, goimap.UID(k.uid), flagList(k.flags, k.recent)); err != nil {
			return err
		}
	}
	return nil
}

// Poll is called at the end of each command.
func (s *session) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v == nil {
		return nil
	}
	if !asksForNews(s.link.commandName()) && v.took > quickLook && time.Since(v.looked) < lookShare*v.took {
		return nil // A large mailbox is not read again for each command.
	}
	return s.update(w, allowExpunge)
}

// asksForNews tells whether a client that sends a command wants to hear what
// has come.
func asksForNews(command string) bool {
	return command == "NOOP" || command == "CHECK" || command == "APPEND"
}

// Idle tells the client what happens until stop is closed.
func (s *session) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil // The line was cut before we began.
	}
	s.idling.Add(1)
	defer s.idling.Done()
	v := s.view
	s.mu.Unlock()
	if v == nil {
		<-stop
		return nil
	}
	changed, end := v.mailbox.Watch()
	defer end()
	for {
		select {
		case <-stop:
			return nil
		case <-changed:
		}
		if err := s.idleUpdate(w, v, stop); err != nil {
			return err
		}
	}
}

func (s *session) idleUpdate(w *imapserver.UpdateWriter, v *view, stop <-chan struct{}) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-stop:
		return nil // The client is at its next command already.
	default:
	}
	if s.view != v {
		return nil
	}
	return s.update(w, true)
}

// pick returns the places of the messages of a set, in order.
func (v *view) pick(set goimap.NumSet) ([]int, error) {
	var places []int
	switch set := set.(type) {
	case goimap.SeqSet:
		for _, r := range set {
			from, to := between(r.Start, r.Stop, uint32(len(v.messages)))
			for n := max(from, 1); n <= min(to, uint32(len(v.messages))); n++ {
				places = append(places, int(n)-1)
			}
		}
	case goimap.UIDSet:
		if goimap.IsSearchRes(set) {
			return nil, bad("SEARCHRES is not supported")
		}
		last := uint32(0)
		if n := len(v.messages); n > 0 {
			last = v.messages[n-1].uid
		}
		for _, r := range set {
			from, to := between(uint32(r.Start), uint32(r.Stop), last)
			for i := v.place(from); i < len(v.messages) && v.messages[i].uid <= to; i++ {
				places = append(places, i)
			}
		}
	}
	slices.Sort(places)
	return slices.Compact(places), nil
}

// between returns the ends of a range in order, where 0 is the last.
func between(a, b, last uint32) (from, to uint32) {
	if a == 0 {
		a = last
	}
	if b == 0 {
		b = last
	}
	return min(a, b), max(a, b)
}

// place returns where a UID is, or would be.
func (v *view) place(uid uint32) int {
	at, _ := slices.BinarySearchFunc(v.messages, uid, func(k known, uid uint32) int {
		return int(int64(k.uid) - int64(uid))
	})
	return at
}

// uids returns the UIDs of messages by their places.
func (v *view) uids(places []int) []uint32 {
	l := make([]uint32, len(places))
	for i, at := range places {
		l[i] = v.messages[at].uid
	}
	return l
}
