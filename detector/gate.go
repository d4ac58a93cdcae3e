package detector

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// gate is what several conditions begin with and asks for figures of the pool
// only, such as that it is full. It mostly decides, and is looked at once for
// all of them.
type gate struct {
	when   verdict
	asked  uint64 // the look at which it was asked last
	answer bool
}

// opens says whether the gate is open at the look of that number.
func (g *gate) opens(v *view, look uint64) bool {
	if g.asked != look {
		g.asked, g.answer = look, g.when(v)
	}
	return g.answer
}

// gates are those of all rules, by their text.
type gates map[string]*gate

// of returns the gate of a condition, the same one for the same text.
func (gs gates) of(c *condition) *gate {
	if c.gate == nil {
		return nil
	}
	g := gs[c.gateText]
	if g == nil {
		g = &gate{when: c.gate}
		gs[c.gateText] = g
	}
	return g
}

// condition is a compiled condition in two parts, which must both be true.
type condition struct {
	gate     verdict // about the pool only; nil: there is no such part
	gateText string
	rest     verdict
}

// conditionOf splits a checked condition into its parts and compiles them.
func (c *compiler) conditionOf(n ast.Node) (condition, error) {
	all := conjuncts(n, nil)
	split := 0
	for split < len(all) && aboutPool(all[split]) {
		split++
	}
	var out condition
	var text []string
	for i := len(all) - 1; i >= 0; i-- {
		t, err := c.term(all[i])
		if err == nil && t.truth == nil {
			err = fault(all[i], "not a condition")
		}
		if err != nil {
			return condition{}, err
		}
		if i < split {
			out.gate = both(t.truth, out.gate)
			text = append(text, all[i].String())
		} else {
			out.rest = both(t.truth, out.rest)
		}
	}
	out.gateText = strings.Join(text, " ")
	if out.rest == nil {
		out.rest = func(*view) bool { return true }
	}
	return out, nil
}

// whole is the condition in one.
func (c *condition) whole() verdict { return both(c.gate, c.rest) }

// both is x and then y; either may be nil.
func both(x, y verdict) verdict {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	default:
		return func(v *view) bool { return x(v) && y(v) }
	}
}

// conjuncts are the parts of a condition that must all be true, in order.
func conjuncts(n ast.Node, parts []ast.Node) []ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "&&" || b.Operator == "and") {
		return conjuncts(b.Right, conjuncts(b.Left, parts))
	}
	return append(parts, n)
}

// aboutPool says whether a part asks for figures of the pool and nothing else.
func aboutPool(n ast.Node) bool {
	only := poolOnly{true}
	ast.Walk(&n, &only)
	return only.yes
}

type poolOnly struct{ yes bool }

// Visit looks at the groups of figures; all other names stand in none.
func (o *poolOnly) Visit(n *ast.Node) {
	if id, ok := (*n).(*ast.IdentifierNode); ok && id.Value != "pool" {
		o.yes = false
	}
}
