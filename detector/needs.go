package detector

import "slices"

// need is something that a condition cannot hold without: that a figure is at
// least so much.
type need struct {
	figure number
	least  float64
}

// needs are several of which a condition needs one. None means that nothing is
// known. Nearly always they decide, and that takes a call for each, where the
// condition takes several.
type needs []need

func (n needs) met(v *view) bool {
	for i := range n {
		if n[i].figure(v) >= n[i].least {
			return true
		}
	}
	return len(n) == 0
}

// and are what x and y together need: what one of them does will do.
func (n needs) and(y needs) needs {
	if len(n) > 0 {
		return n
	}
	return y
}

// or are what either needs, if that is known of both.
func (n needs) or(y needs) needs {
	if len(n) == 0 || len(y) == 0 {
		return nil
	}
	return slices.Concat(n, y)
}

// clause is some of what must be true for a condition to hold.
type clause struct {
	needs needs
	truth verdict // nil: it always is
}

func (c *clause) holds(v *view) bool { return c.needs.met(v) && (c.truth == nil || c.truth(v)) }

// with puts a term in front.
func (c *clause) with(t term) {
	c.needs, c.truth = t.needs.and(c.needs), both(t.truth, c.truth)
}
