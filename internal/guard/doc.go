// Package guard knows whom this machine must never ban: itself, the gateway
// through which it reaches everybody else, and the operator who is logged in.
//
// # Model
//
// [Machine] reads these hosts from the system, each time anew: an address may
// come with a new lease, and an operator with the next login. The answer is a
// list of [Hosts], which can be asked for what a ban would hit
// ([Hosts.Within]), and for what is left of a net without them ([Hosts.Spare]).
//
//	hosts, err := guard.Machine{}.Hosts()
//	...
//	if host, ok := hosts.Within(prefix); ok { ... }
//
// What can be read and is not there is nothing: a machine without IPv6 has no
// gateway of that family. What is there and cannot be read is an error, and
// who bans without knowing may ban the wrong one.
//
// # Where it looks
//
//   - The addresses of all interfaces.
//   - The next hops of the default routes, in /proc/net/route and
//     /proc/net/ipv6_route. A router that translates addresses, as that of a
//     container, makes all the world come from there.
//   - Logins from elsewhere: /run/utmp, what systemd-logind keeps in
//     /run/systemd/sessions, and the shell that this process was started from
//     (SSH_CONNECTION, SSH_CLIENT). All of these are written after a login,
//     not before.
//
// On systems other than Linux it knows the interfaces and the shell.
//
// # Absent on purpose
//
// The table of TCP connections: who holds a connection to the port of ssh would
// be an operator then. Names of hosts, which whoever owns an address may
// choose. Allow lists, which people write, belong to the list of bans.
package guard
