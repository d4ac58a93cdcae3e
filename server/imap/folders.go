package imap

import (
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/server/mailstore"
)

// delimiter stands between a mailbox's name and that of its child.
const delimiter = '/'

const (
	// maxPatterns and maxPatternBytes bound what one LIST may cost.
	maxPatterns     = 16
	maxPatternBytes = 1000
)

// Create makes a mailbox. A delimiter at the end only says that it will have
// children (RFC 3501, 6.3.3).
func (s *session) Create(folder string, _ *goimap.CreateOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.protocol.options.Store.CreateFolder(s.user, strings.TrimSuffix(folder, string(delimiter)))
	return s.refusalOrNil(err)
}

// Delete removes a mailbox.
func (s *session) Delete(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusalOrNil(s.protocol.options.Store.DeleteFolder(s.user, folder))
}

// Rename gives a mailbox another name.
func (s *session) Rename(from, to string, _ *goimap.RenameOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusalOrNil(s.protocol.options.Store.RenameFolder(s.user, from, to))
}

// Subscribe adds a mailbox to those that LSUB lists.
func (s *session) Subscribe(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusalOrNil(s.protocol.options.Store.Subscribe(s.user, folder, true))
}

// Unsubscribe takes it away again.
func (s *session) Unsubscribe(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusalOrNil(s.protocol.options.Store.Subscribe(s.user, folder, false))
}

func (s *session) refusalOrNil(err error) error {
	if err == nil {
		return nil
	}
	return s.refusal(err, false)
}

// List lists mailboxes.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *goimap.ListOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(patterns) == 0 {
		// A question for the delimiter (RFC 3501, 6.3.8).
		return w.WriteList(&goimap.ListData{Attrs: []goimap.MailboxAttr{goimap.MailboxAttrNoSelect}, Delim: delimiter})
	}
	for i, p := range patterns {
		patterns[i] = ref + p
		if len(patterns) > maxPatterns || len(patterns[i]) > maxPatternBytes {
			return no(goimap.ResponseCodeLimit, "Too long a pattern")
		}
	}
	store := s.protocol.options.Store
	folders, err := store.Folders(s.user)
	if err != nil {
		return s.refusal(err, false)
	}
	subscribed, err := store.Subscriptions(s.user)
	if err != nil {
		return s.refusal(err, false)
	}
	names := withParents(folders)
	if o.SelectSubscribed {
		names = subscribed
	}
	for _, name := range names {
		if !slices.ContainsFunc(patterns, func(p string) bool { return matches(name, p) }) {
			continue
		}
		d := &goimap.ListData{Mailbox: name, Delim: delimiter, Attrs: attributes(name, folders)}
		if o.ReturnSubscribed && slices.Contains(subscribed, name) {
			d.Attrs = append(d.Attrs, goimap.MailboxAttrSubscribed)
		}
		if o.ReturnStatus != nil && slices.Contains(folders, name) {
			if d.Status, err = s.status(name, o.ReturnStatus); err != nil {
				continue // It is gone again.
			}
		}
		if err := w.WriteList(d); err != nil {
			return err
		}
	}
	return nil
}

// withParents adds the mailboxes that only exist because others are in them.
func withParents(folders []string) []string {
	all := slices.Clone(folders)
	for _, name := range folders {
		for i := range len(name) {
			if name[i] == delimiter {
				all = append(all, name[:i])
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// attributes returns what LIST says of a mailbox.
func attributes(name string, folders []string) []goimap.MailboxAttr {
	attrs := []goimap.MailboxAttr{goimap.MailboxAttrHasNoChildren}
	for _, f := range folders {
		if strings.HasPrefix(f, name+string(delimiter)) {
			attrs[0] = goimap.MailboxAttrHasChildren
			break
		}
	}
	if !slices.Contains(folders, name) {
		attrs = append(attrs, goimap.MailboxAttrNoSelect)
	}
	return attrs
}

// matches tells whether a name fits a pattern: * stands for anything, % for
// anything within one level. It takes no more steps than the two have places.
func matches(name, pattern string) bool {
	if name == mailstore.Inbox {
		pattern = strings.ToUpper(pattern) // It is the same in any case.
	}
	// fits[i]: the pattern so far fits the first i bytes of the name.
	fits := make([]bool, len(name)+1)
	fits[0] = true
	for _, c := range []byte(pattern) {
		switch c {
		case '*', '%':
			for i := range len(name) {
				if fits[i] && (c == '*' || name[i] != delimiter) {
					fits[i+1] = true
				}
			}
		default:
			for i := len(name); i > 0; i-- {
				fits[i] = fits[i-1] && name[i-1] == c
			}
			fits[0] = false
		}
	}
	return fits[len(name)]
}

// Status tells about a mailbox that is not selected.
func (s *session) Status(folder string, o *goimap.StatusOptions) (*goimap.StatusData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.status(folder, o)
	if err != nil {
		return nil, s.refusal(err, false)
	}
	return d, nil
}

func (s *session) status(folder string, _ *goimap.StatusOptions) (*goimap.StatusData, error) {
	m, err := s.protocol.options.Store.OpenFolder(s.user, folder)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l, err := m.Look()
	if err != nil {
		return nil, err
	}
	var unseen, deleted, recent uint32
	var size, deletedSize int64
	for i := range l.Messages {
		msg := &l.Messages[i]
		size += msg.Size
		if msg.Flags&mailstore.Seen == 0 {
			unseen++
		}
		if msg.Flags&mailstore.Trashed != 0 {
			deleted++
			deletedSize += msg.Size
		}
		if msg.New {
			recent++
		}
	}
	count, limit := uint32(len(l.Messages)), s.AppendLimit()
	return &goimap.StatusData{
		Mailbox: folder, NumMessages: &count, NumRecent: &recent, NumUnseen: &unseen, NumDeleted: &deleted,
		UIDNext: goimap.UID(l.Next), UIDValidity: l.Validity,
		Size: &size, DeletedStorage: &deletedSize, AppendLimit: &limit,
	}, nil
}
