// Package mailstore keeps users and their mail.
//
// The model: a [Users] is a file with one name and bcrypt hash per line, as
// "htpasswd -B" writes it, read again whenever it changes. A [Store] is a
// folder with one Maildir per user. A [Delivery] is one message on its way to
// one or more users: written to their tmp folders, synced, then renamed into
// their new folders. Only when [Delivery.Commit] has returned nil may a client
// be told that its message is accepted: it is on the disk then.
//
// The first call:
//
//	users, err := mailstore.OpenUsers("users", mailstore.UsersOptions{})
//	store := mailstore.NewStore("mail")
//	d, err := store.Begin([]string{"anna"})
//	_, err = io.Copy(d, message)
//	err = d.Commit() // or d.Abort()
//
// User names become folder names, so they are checked strictly ([ValidName]).
// A login costs a fixed amount of work, whether the user exists or not, and
// only a few are checked at a time: hashing is what the processor does most
// here, and a flood of logins must not take all of it.
//
// Absent on purpose: quotas, folders within a Maildir, and reading mail.
package mailstore
