// Package mailstore keeps users and their mail.
//
// The model: a [Users] is a file with one name and bcrypt hash per line, as
// "htpasswd -B" writes it, read again whenever it changes; [AddUser],
// [SetPassword] and [DeleteUser] change it. A [Store] is a
// folder with one Maildir per user. A [Delivery] is one message on its way to
// one or more users: written to their tmp folders, synced, then renamed into
// their new folders. Only when [Delivery.Commit] has returned nil may a client
// be told that its message is accepted: it is on the disk then. A [Mailbox] is
// an open folder of a user, to read and change what is there.
//
// The first call:
//
//	users, err := mailstore.OpenUsers("users", mailstore.UsersOptions{})
//	store := mailstore.NewStore("mail")
//	d, err := store.Begin([]string{"anna"})
//	_, err = io.Copy(d, message)
//	err = d.Commit() // or d.Abort()
//
//	m, err := store.Open("anna")
//	defer m.Close()
//	listing, err := m.Look()
//	text, err := m.OpenMessage(listing.Messages[0].UID)
//
// User names become folder names, so they are checked strictly ([ValidName]).
// A login costs a fixed amount of work, whether the user exists or not, and
// only a few are checked at a time: hashing is what the processor does most
// here, and a flood of logins must not take all of it. Those that wait are
// checked in turns of their sources, so that a flood from one delays nobody but
// itself.
//
// # On the disk
//
// Each user has a Maildir with folders as in Maildir++: Work/2026 is the
// directory .Work.2026 beside cur, new and tmp. A message is stored with the
// line ends of this host; its name ends in ",S=" and the size of the file,
// ",W=" and the size on the wire, where each line ends in CRLF, and in cur in
// ":2," and the letters of its flags. So names are enough for sizes, flags and
// quota. Any other Maildir software may deliver, read and change at the same
// time.
//
// Beside these folders stand files of our own, none of which is needed to read
// the mail:
//
//	overstay.uids           the UIDs of a folder
//	overstay.validity       the last UID validity of a folder of this user
//	overstay.subscriptions  the folders that the user has subscribed to
//	overstay.lock           locked (flock) while the Maildir is changed
//	overstay.session.lock   locked by a session that wants to be alone
//
// A UID list begins with the line "overstay-uids 1 <validity> <next>". A line
// "<uid> <wire size> <name>" gives a UID to a message, greater than all before;
// a line "-<name>" says that it is gone, and that the UID is not given again.
// Lines are added and synced before anybody is told of a UID. What stands
// behind the last line end was torn by a crash, and is cut off. A list with
// many dead lines is written to tmp, synced and renamed. One that cannot be
// read is begun anew, with another validity.
//
// Who changes a Maildir here holds its lock, for as long as that takes, and
// not for a session. A delivery needs none: a message appears by one rename.
// A message that somebody else has removed is [ErrGone] for that message.
//
// A copy is a second name of the same file, because messages do not change.
// A quota ([Store.SetQuota]) counts each of them. It is counted from the names,
// and then kept by what this process does, so that a delivery costs the same
// whatever the mailbox holds; what others do is seen in the folders' times.
//
// Absent on purpose: keywords (flags of the user's own), and the search in
// messages.
package mailstore
