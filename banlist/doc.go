// Package banlist is the shared list of banned hosts: who may not connect,
// who is suggested for a ban, and who is let through whatever else is said.
//
// # Model
//
// An entry ([Ban]) names a network prefix, the services it concerns, and its
// [State]: suggested (waits for a person), active, or one of the three ends:
// rejected, lifted, expired. Beside the bans stands the allow list
// ([Allowance]), which wins over every ban. Each step of an entry is kept in
// the history.
//
//	               Approve
//	Decide --> suggested --> active --> expired (its time is over)
//	   |           |            |
//	   |           +-> rejected +-----> lifted  (Lift, Allow)
//	   +----------------------> active
//
// The list lives in a SQLite file that several processes open at the same
// time: the server that asks, the detector that decides, the commands of an
// operator. The file is the truth. Each process keeps a copy of what is active
// in memory, an immutable table behind an atomic pointer, so that
// [List.Blocked] takes no lock, allocates nothing and never waits for a disk.
// A process that changes the file tells the others by a datagram, after the
// commit; a slow poll finds what a lost datagram would have told.
//
// # First call
//
//	list, err := banlist.Open(ctx, "state/bans.db", banlist.Options{})
//	...
//	defer list.Close()
//	if list.Blocked(addr, "smtp") { ... }
//
// A detector hands its decisions to [List.Decide], which may see the same
// decision any number of times: an id that is known changes nothing, so a log
// can be replayed, and a ban that was lifted stays lifted. People use
// [List.Add], [List.Lift], [List.Approve], [List.Reject] and [List.Allow].
// What must act when the list changes ranges over [List.Watch]. A command that
// makes one change and ends opens the list with Options.Lazy: nothing is
// loaded, and each question is answered from the file.
//
// # When the file fails
//
// A file that cannot be read is an error of Open that names the file and wraps
// [ErrDamaged] or [ErrNewer]. A list that is open goes on with what it has in
// memory when the file fails under it: lookups answer, changes return an
// error, one line is logged, and the list catches up by itself once the file
// is back.
//
// # Absent on purpose
//
// There is no lookup by name, no counting of offences and no opinion on when
// to ban: those belong to the detector. Nothing here talks to a firewall;
// package enforce does, driven by Watch.
package banlist
