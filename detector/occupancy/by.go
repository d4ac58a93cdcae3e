package occupancy

import (
	"errors"
	"fmt"
)

// By is what sources are ranked by.
type By string

// The figures that sources can be ranked by.
const (
	ByThreadTime  By = "thread_seconds"
	ByConnections By = "connections"
	ByPeak        By = "peak"
	ByLoad        By = "load"
	ByBlame       By = "blame"
	ByFails       By = "fails"
	ByRefused     By = "refused"
)

// ErrBy is the error of a figure that there is not.
var ErrBy = errors.New("occupancy: no such figure")

// Bys returns all of them.
func Bys() []By {
	return []By{ByThreadTime, ByConnections, ByPeak, ByLoad, ByBlame, ByFails, ByRefused}
}

// ParseBy returns the figure of a name.
func ParseBy(name string) (By, error) {
	for _, by := range Bys() {
		if string(by) == name {
			return by, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrBy, name)
}

// of is the figure of a source.
func (by By) of(t *tally) float64 {
	switch by {
	case ByConnections:
		return float64(t.connections)
	case ByPeak:
		return float64(t.crest.settled())
	case ByLoad:
		return t.load.most
	case ByBlame:
		return t.blame
	case ByFails:
		return float64(t.fails)
	case ByRefused:
		return float64(t.refused)
	}
	return float64(t.time)
}
