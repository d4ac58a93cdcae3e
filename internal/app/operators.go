package app

import (
	"fmt"
	"net/netip"

	"overstay/internal/guard"
)

// OperatorError is a ban of people who are logged in on this machine.
type OperatorError struct {
	Prefix netip.Prefix // what was to be banned
	Host   netip.Prefix // from where an operator is logged in
}

func (e *OperatorError) Error() string {
	if e.Prefix == e.Host {
		return fmt.Sprintf("an operator is logged in from %v", e.Host.Addr())
	}
	return fmt.Sprintf("%v holds %v, from where an operator is logged in", e.Prefix, e.Host.Addr())
}

// CheckOperators returns an *OperatorError for the first prefix by which
// somebody would be banned who is logged in, and another error if that cannot
// be known.
func CheckOperators(prefixes ...netip.Prefix) error {
	return checkOperators(guard.Machine{}, prefixes)
}

func checkOperators(m guard.Machine, prefixes []netip.Prefix) error {
	operators, err := m.Operators()
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		if host, ok := operators.Within(p); ok {
			return &OperatorError{Prefix: p, Host: host.Prefix}
		}
	}
	return nil
}
