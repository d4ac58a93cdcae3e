package traffic

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// The services that a group can talk to. Other names are for the simulation
// only.
const (
	SMTP = "smtp"
	WWW  = "www"
	IMAP = "imap" // simulation only
)

// Kind is what the clients of a group do.
type Kind uint8

// The kinds of behaviour.
const (
	Ordinary Kind = iota // one piece of work on a fresh connection, then gone
	Holding              // takes a thread and keeps it, saying next to nothing
	Flooding             // connects and closes
	Guessing             // logs in with wrong passwords
	Checking             // looks whether the service is there: no work, no login
	Sending              // many messages over one connection (smtp)
	Idling               // proves itself at once, then keeps its thread (simulation only)
	numKinds
)

// Group is a number of clients that do the same thing. A client has one
// connection at a time. A Group may be copied; Sources and Users are only
// read.
type Group struct {
	Name     string
	Kind     Kind
	Service  string
	Attacker bool // the truth, for scoring; behaviour does not depend on it

	Sources []netip.Addr
	Clients int // at each source, 0 means 1

	// Every is the mean time from the beginning of one attempt of a client to
	// the beginning of its next one, but never before the end of the first.
	// For Holding it is the pause after a connection was cut or refused. The
	// actual times are spread evenly from half of it to one and a half.
	Every time.Duration

	// Hold is the mean time that a session takes where nothing is in its way
	// (Guessing: one guess). The simulation uses it for all kinds. Live uses
	// it for Holding only, where 0 means until cut.
	Hold time.Duration

	// Drip is the time between two bytes of a live Holding connection, 0 for
	// two seconds.
	Drip time.Duration

	Tries int      // Guessing: logins, Sending: messages in one session, 0 means 1
	Users []string // Guessing: names that are tried in turn, none means "admin"

	// From and Until bound the part of the run in which the group makes
	// attempts. Until 0 means to the end. What a Holding or Idling group has
	// is let go at Until.
	From, Until time.Duration

	// Visits is the number of attempts that each client makes, 0 for no end to
	// them. Simulation only.
	Visits int

	// Retries is how often an attempt is made again that was refused as busy,
	// for too many sessions, or because the server was down: about Retry
	// after the refusal, and each further time after twice as long. An attempt
	// that is refused as banned is not made again. Simulation only.
	Retries int
	Retry   time.Duration

	// Hop makes a client come from another address at each attempt: a random
	// one that shares so many leading bits with its source. 0 for no hopping,
	// else at least 16 for IPv4 and 48 for IPv6. Simulation only.
	Hop int
}

// ErrGroup is wrapped by all errors about a group that cannot be played.
var ErrGroup = errors.New("traffic: unusable group")

// check returns what is wrong with the group itself.
func (g *Group) check() error {
	problem := ""
	switch {
	case g.Kind >= numKinds:
		problem = "unknown kind"
	case len(g.Sources) == 0:
		problem = "no sources"
	case g.Clients < 0 || g.Tries < 0:
		problem = "negative count"
	case g.Every < time.Millisecond:
		problem = "every is under a millisecond"
	case g.Hold < 0 || g.Drip < 0 || g.From < 0:
		problem = "negative duration"
	case g.Until != 0 && g.Until <= g.From:
		problem = "until is not after from"
	case g.Visits < 0 || g.Retries < 0 || g.Retries > maxRetries:
		problem = "unusable number of visits or retries"
	case g.Retries > 0 && g.Retry < time.Millisecond:
		problem = "retry is under a millisecond"
	case g.Service == WWW && (g.Kind == Guessing || g.Kind == Sending):
		problem = "www has neither logins nor messages"
	}
	for _, a := range g.Sources {
		if !a.IsValid() {
			problem = "invalid source address"
		} else if g.Hop != 0 && (g.Hop < hopBits(a) || g.Hop > a.Unmap().BitLen()) {
			problem = "unusable hop"
		}
	}
	if problem != "" {
		return fmt.Errorf("%w: %s: %s", ErrGroup, g.Name, problem)
	}
	return nil
}

// maxRetries bounds how often a wait can double.
const maxRetries = 20

// hopBits is the least number of leading bits that a hopping client keeps, so
// that a simulation has no end of sources to remember.
func hopBits(a netip.Addr) int {
	if a.Unmap().Is4() {
		return 16
	}
	return 48
}

// holds says whether the clients want a thread for its own sake.
func (g *Group) holds() bool { return g.Kind == Holding || g.Kind == Idling }

// clients is the number of clients at each source.
func (g *Group) clients() int { return max(g.Clients, 1) }

// tries is the number of guesses or messages in a session.
func (g *Group) tries() int { return max(g.Tries, 1) }

// drip is the mean time between two bytes of a holder.
func (g *Group) drip() time.Duration {
	if g.Drip == 0 {
		return 2 * time.Second
	}
	return g.Drip
}

// user returns the name of the i-th guess.
func (g *Group) user(i int) string {
	if len(g.Users) == 0 {
		return "admin"
	}
	return g.Users[i%len(g.Users)]
}

// activeAt says whether attempts are made at this time of the run.
func (g *Group) activeAt(t time.Duration) bool {
	return t >= g.From && (g.Until == 0 || t < g.Until)
}

// spread draws a time evenly from half of mean to one and a half; u is uniform
// in [0, 1).
func spread(mean time.Duration, u float64) time.Duration {
	return time.Duration(float64(mean) * (0.5 + u))
}

// PerSecond is the number of attempts that all clients of the group together
// begin in a second while none has to wait for its session to end.
func (g *Group) PerSecond() float64 {
	return float64(len(g.Sources)*g.clients()) / g.Every.Seconds()
}
