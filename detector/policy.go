package detector

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Action is what a policy does with a source.
type Action string

// What can be done, the weaker first.
const (
	Suggest Action = "suggest" // a person decides
	Ban     Action = "ban"
)

// The levels at which a policy can judge: single addresses, that is IPv4
// addresses and the /64 that an IPv6 host owns, and nets of them.
const (
	LevelAddress = "address"
	LevelNet     = "net"
)

// Policy says which sources are to be banned. It is data, and may be copied.
type Policy struct {
	Name string
	// Level of the sources it judges; empty means LevelAddress. A policy of
	// LevelNet judges nets in which two sources or more hold threads.
	Level string
	// When is the condition, over the figures of one source in one pool; see
	// Figures and the package comment. That of a net may use only figures that
	// begin with net. and pool., and for a source net. is its own net.
	When string
	// For is how long the condition must have held. It is looked at on each
	// line about the source, and every second while the source holds a thread.
	For time.Duration
	// Action is Suggest or Ban.
	Action Action
	// Duration of the ban, of the first one if Escalate is set.
	Duration time.Duration
	// Escalate makes the bans of one that returns longer.
	Escalate Escalate
	// Averts has it decide only where the ban would avert refusals, that is
	// where the source, or the net, has blame for those of this moment.
	Averts bool
	// ProvenNets has it decide about nets too in which an address has proven
	// itself within a day.
	ProvenNets bool
	// Pools the policy looks at; empty means all.
	Pools []string
	// Services that the ban is for; empty means all.
	Services []string
}

// Escalate makes a ban longer for each earlier one of the same source.
type Escalate struct {
	Factor float64       // of the duration, for each earlier ban; 0 or 1: no escalation
	Max    time.Duration // no ban is longer; 0: MaxDuration
	Memory time.Duration // earlier bans count for so long; 0: for ever
}

// MaxDuration is the longest ban a policy can make.
const MaxDuration = 10 * 365 * 24 * time.Hour

// maxPolicies is the number of policies that a watch can keep apart.
const maxPolicies = 64

// What is wrong with a policy. A bad condition gives the error of its parser,
// with line and column.
var (
	ErrPolicy          = errors.New("detector: bad policy")
	ErrTooManyPolicies = fmt.Errorf("%w: more than %d of them", ErrPolicy, maxPolicies)
)

// Check says what is wrong with the policy, if anything is.
func (p Policy) Check() error {
	_, err := p.prepare()
	return err
}

// rule is a policy ready to be applied.
type rule struct {
	Policy
	n    int    // its place among the rules
	bit  uint64 // the same, in a watch
	hold int64  // For in microseconds
	net  bool   // it judges nets
	when condition
}

func (p Policy) prepare() (*rule, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w %q: %s", ErrPolicy, p.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case p.Name == "":
		return nil, bad("it has no name")
	case p.Level != "" && p.Level != LevelAddress && p.Level != LevelNet:
		return nil, bad("level %q: want %q or %q", p.Level, LevelAddress, LevelNet)
	case p.Action != Suggest && p.Action != Ban:
		return nil, bad("action %q: want %q or %q", p.Action, Suggest, Ban)
	case p.For < 0:
		return nil, bad("for %v: want no negative time", p.For)
	case p.Duration <= 0 || p.Duration > MaxDuration:
		return nil, bad("duration %v: want more than nothing and at most %v", p.Duration, MaxDuration)
	case !(p.Escalate.Factor == 0 || p.Escalate.Factor >= 1 && p.Escalate.Factor <= 1e6):
		return nil, bad("escalation factor %v: want 1 to 1000000", p.Escalate.Factor)
	case p.Escalate.Max < 0 || p.Escalate.Max > MaxDuration || p.Escalate.Memory < 0:
		return nil, bad("escalation: want no negative time and at most %v", MaxDuration)
	}
	when, err := parse(p.When, figuresAt(p.Level))
	if err != nil {
		return nil, fmt.Errorf("%w %q: condition: %w", ErrPolicy, p.Name, err)
	}
	return &rule{Policy: p, hold: p.For.Microseconds(), net: p.Level == LevelNet, when: when}, nil
}

func prepareAll(ps []Policy) ([]*rule, error) {
	if len(ps) > maxPolicies {
		return nil, ErrTooManyPolicies
	}
	var rules []*rule
	var errs []error
	for i, p := range ps {
		r, err := p.prepare()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.ContainsFunc(rules, func(o *rule) bool { return o.Name == p.Name }) {
			errs = append(errs, fmt.Errorf("%w %q: there are two of that name", ErrPolicy, p.Name))
		}
		r.n, r.bit = i, 1<<i
		rules = append(rules, r)
	}
	return rules, errors.Join(errs...)
}

// covers says whether the rule looks at the pool.
func (r *rule) covers(p *pool) bool {
	return len(r.Pools) == 0 || slices.Contains(r.Pools, p.name)
}

// watch is kept for a source while the condition of some rule holds for it.
type watch struct {
	holds   uint64  // rules whose condition holds, by bit
	decided uint64  // those of them that have made their decision
	since   []int64 // when it began to hold, by rule
}
