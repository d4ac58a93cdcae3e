package detector

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// panel is the rules of one level, and the same rules by their gates. A gate is
// what conditions begin with that asks for figures of the pool only, such as
// that it is full. It mostly decides, and is looked at once for all of them.
type panel struct {
	rules  []*rule
	gates  []clause
	behind [][]*rule // each gate
}

// panelOf makes a panel of those rules that judge nets, or of those that do not.
func panelOf(all []*rule, net bool) (p panel) {
	var texts []string
	for _, r := range all {
		if r.net != net {
			continue
		}
		p.rules = append(p.rules, r)
		i := slices.Index(texts, r.when.gateText)
		if i < 0 {
			i = len(texts)
			texts = append(texts, r.when.gateText)
			p.gates = append(p.gates, r.when.gate)
			p.behind = append(p.behind, nil)
		}
		p.behind[i] = append(p.behind[i], r)
	}
	return p
}

// due appends the rules that are to be looked at in the pool in view, where the
// gates say that their conditions may hold.
func (p *panel) due(rules []*rule, v *view) []*rule {
	for i := range p.gates {
		if !p.gates[i].holds(v) {
			continue
		}
		for _, r := range p.behind[i] {
			if r.covers(v.p) {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

// thatHold are those of the rules due whose condition holds for what is in view,
// by bit.
func thatHold(due []*rule, v *view) (holds uint64) {
	for _, r := range due {
		if r.when.rest.holds(v) {
			holds |= r.bit
		}
	}
	return holds
}

// condition is a compiled condition in two parts, which must both be true.
type condition struct {
	gate     clause // about the pool only
	gateText string
	rest     clause
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
			out.gate.with(t)
			text = append(text, all[i].String())
		} else {
			out.rest.with(t)
		}
	}
	out.gateText = strings.Join(text, " ")
	return out, nil
}

// whole is the condition in one.
func (c *condition) whole() verdict {
	return func(v *view) bool { return c.gate.holds(v) && c.rest.holds(v) }
}

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
