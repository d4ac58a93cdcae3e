package imap

import (
	"slices"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/server/mailstore"
)

var errReadOnly = no("READ-ONLY", "The mailbox is selected for reading only")

// Store changes flags.
func (s *session) Store(w *imapserver.FetchWriter, set goimap.NumSet, f *goimap.StoreFlags, _ *goimap.StoreOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v.readOnly {
		return errReadOnly
	}
	places, err := v.pick(set)
	if err != nil {
		return err
	}
	flags := flagsOf(f.Flags)
	on, off := flags, mailstore.Flags(0)
	switch f.Op {
	case goimap.StoreFlagsDel:
		on, off = 0, flags
	case goimap.StoreFlagsSet:
		off = mailstore.AllFlags &^ flags
	}
	changed, err := v.mailbox.ChangeFlags(v.uids(places), on, off)
	if err != nil {
		return s.refusal(err, false)
	}
	if v.listing, err = v.mailbox.Look(); err != nil {
		return s.refusal(err, false)
	}
	for _, at := range places {
		k := &v.messages[at]
		if _, done := slices.BinarySearch(changed, k.uid); !done {
			continue
		}
		k.flags = k.flags&^off | on
		if f.Silent {
			continue
		}
		r := w.CreateMessage(uint32(at) + 1)
		if _, byUID := set.(goimap.UIDSet); byUID {
			r.WriteUID(goimap.UID(k.uid))
		}
		r.WriteFlags(flagList(k.flags, k.recent))
		if err := r.Close(); err != nil {
			return err
		}
	}
	if len(changed) < len(places) {
		return s.refusal(mailstore.ErrGone, false)
	}
	return nil
}

// Expunge removes the messages that are marked as deleted, all or those of a
// set. CLOSE does the same, and is silent about what it may not remove.
func (s *session) Expunge(w *imapserver.ExpungeWriter, set *goimap.UIDSet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v.readOnly {
		if s.link.commandName() == "CLOSE" {
			return nil
		}
		return errReadOnly
	}
	l, err := v.mailbox.Look()
	if err != nil {
		return s.refusal(err, false)
	}
	var doomed []uint32
	for i := range l.Messages {
		m := &l.Messages[i]
		if m.Flags&mailstore.Trashed != 0 && v.knows(m.UID) && (set == nil || set.Contains(goimap.UID(m.UID)) || v.isLast(m.UID, *set)) {
			doomed = append(doomed, m.UID)
		}
	}
	if _, err := v.mailbox.Remove(doomed); err != nil {
		return s.refusal(err, false)
	}
	return v.gone(w.WriteExpunge)
}

// knows tells whether the client knows a message: what has come since must not
// be removed.
func (v *view) knows(uid uint32) bool {
	at := v.place(uid)
	return at < len(v.messages) && v.messages[at].uid == uid
}

// isLast tells whether a set has a "*", and the message is the last one.
func (v *view) isLast(uid uint32, set goimap.UIDSet) bool {
	return set.Dynamic() && uid == v.messages[len(v.messages)-1].uid
}

// gone tells which messages are not there any more.
func (v *view) gone(write func(number uint32) error) (err error) {
	if v.listing, err = v.mailbox.Look(); err != nil {
		return err
	}
	return v.expunge(write)
}

// Copy copies messages to another mailbox.
func (s *session) Copy(set goimap.NumSet, folder string) (*goimap.CopyData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	places, err := s.view.pick(set)
	if err != nil {
		return nil, err
	}
	t, err := s.view.mailbox.Copy(s.view.uids(places), folder)
	if err != nil {
		return nil, s.refusal(err, true)
	}
	return copyData(t), nil
}

// Move moves messages to another mailbox.
func (s *session) Move(w *imapserver.MoveWriter, set goimap.NumSet, folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v.readOnly {
		return errReadOnly
	}
	if folder == v.mailbox.Folder() {
		return no(goimap.ResponseCodeCannot, "That is where they are")
	}
	places, err := v.pick(set)
	if err != nil {
		return err
	}
	t, err := v.mailbox.Move(v.uids(places), folder)
	if err != nil {
		return s.refusal(err, true)
	}
	if d := copyData(t); d != nil {
		if err := w.WriteCopyData(d); err != nil {
			return err
		}
	}
	return v.gone(w.WriteExpunge)
}

// copyData returns which messages have become which. Both sets are in order,
// and so are the pairs. It is nil if there are none.
func copyData(t *mailstore.Transfer) *goimap.CopyData {
	if len(t.Pairs) == 0 {
		return nil
	}
	d := &goimap.CopyData{UIDValidity: t.Validity}
	for _, p := range t.Pairs {
		d.SourceUIDs.AddNum(goimap.UID(p.From))
		d.DestUIDs.AddNum(goimap.UID(p.To))
	}
	return d
}
