package detector

import (
	"errors"
	"fmt"
	"math"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// verdict is a compiled condition.
type verdict func(*view) bool

// compile checks the text of a condition and turns it into closures, which
// answer without allocating. The language is the part of expr-lang that deals
// in numbers and truth: literals, figures, + - * / ** and the comparisons,
// and or not, a ? b : c, and abs, min and max. Durations are plain seconds.
//
// Errors show the line and the column.
func compile(text string) (verdict, error) { return compileWith(text, figures()) }

// compileWith is compile over a table of figures.
func compileWith(text string, fs []figure) (verdict, error) {
	c, err := parse(text, fs)
	if err != nil {
		return nil, err
	}
	return c.whole(), nil
}

// parse checks and compiles a condition.
func parse(text string, fs []figure) (condition, error) {
	program, err := expr.Compile(text,
		expr.Env(vocabulary(fs)), expr.AsBool(), expr.Optimize(false),
		expr.DisableAllBuiltins(),
		expr.EnableBuiltin("abs"), expr.EnableBuiltin("min"), expr.EnableBuiltin("max"))
	if err != nil {
		return condition{}, err
	}
	c := compiler{figures: make(map[string]number, len(fs))}
	for _, f := range fs {
		c.figures[f.Name] = f.value
	}
	out, err := c.conditionOf(program.Node())
	var located *file.Error
	if errors.As(err, &located) {
		return out, located.Bind(program.Source())
	}
	return out, err
}

// fault is an error about one place of the text.
func fault(n ast.Node, format string, args ...any) error {
	return &file.Error{Location: n.Location(), Message: fmt.Sprintf(format, args...)}
}

// term is a translated part of a condition: value or truth is set. Of a number
// that stands in the condition it says so, because to compare with it, or to
// multiply by it, needs no call.
type term struct {
	value   number
	truth   verdict
	literal bool
	n       float64 // the literal
	beyond  number  // of max(n, beyond), else nil
	needs   needs   // of a truth
}

type compiler struct {
	figures map[string]number
}

// term translates a node of the checked syntax tree.
func (c *compiler) term(n ast.Node) (term, error) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return constant(float64(n.Value)), nil
	case *ast.FloatNode:
		return constant(n.Value), nil
	case *ast.BoolNode:
		b := n.Value
		return term{truth: func(*view) bool { return b }}, nil
	case *ast.IdentifierNode:
		return c.figure(n, n.Value)
	case *ast.MemberNode:
		name, ok := dotted(n)
		if !ok {
			return term{}, fault(n, "a figure is a name, or several with dots between")
		}
		return c.figure(n, name)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.BuiltinNode:
		return c.builtin(n)
	case *ast.ConditionalNode:
		return c.choice(n)
	default:
		return term{}, fault(n, "conditions know only numbers, figures and comparisons")
	}
}

func constant(f float64) term {
	return term{value: func(*view) float64 { return f }, literal: true, n: f}
}

func (c *compiler) figure(n ast.Node, name string) (term, error) {
	f := c.figures[name]
	if f == nil {
		return term{}, fault(n, "%s is not a figure", name)
	}
	return term{value: f}, nil
}

// dotted is the name of a figure as it is written.
func dotted(n ast.Node) (name string, ok bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, true
	case *ast.MemberNode:
		group, ok := dotted(n.Node)
		name, last := n.Property.(*ast.StringNode)
		if !ok || !last {
			return "", false
		}
		return group + "." + name.Value, true
	default:
		return "", false
	}
}

func (c *compiler) number(n ast.Node) (number, error) {
	t, err := c.term(n)
	if err == nil && t.value == nil {
		err = fault(n, "a number is needed here")
	}
	return t.value, err
}

func (c *compiler) truth(n ast.Node) (verdict, error) {
	t, err := c.term(n)
	if err == nil && t.truth == nil {
		err = fault(n, "a comparison is needed here")
	}
	return t.truth, err
}

func (c *compiler) unary(n *ast.UnaryNode) (term, error) {
	switch n.Operator {
	case "!", "not":
		x, err := c.truth(n.Node)
		return term{truth: func(v *view) bool { return !x(v) }}, err
	case "-":
		x, err := c.number(n.Node)
		return term{value: func(v *view) float64 { return -x(v) }}, err
	case "+":
		x, err := c.number(n.Node)
		return term{value: x}, err
	default:
		return term{}, fault(n, "operator %s is not for conditions", n.Operator)
	}
}

func (c *compiler) binary(n *ast.BinaryNode) (term, error) {
	// A chain is read from the left. It answers sooner the other way round: its
	// first part mostly decides, and that is then not the innermost.
	if l, ok := n.Left.(*ast.BinaryNode); ok && l.Operator == n.Operator && isLogic(n.Operator) {
		rest := *n
		rest.Left = l.Right
		n = &ast.BinaryNode{Operator: l.Operator, Left: l.Left, Right: &rest}
		n.SetLocation(l.Location())
		return c.binary(n)
	}
	left, err := c.term(n.Left)
	if err != nil {
		return term{}, err
	}
	right, err := c.term(n.Right)
	if err != nil {
		return term{}, err
	}
	var t term
	var ok bool
	switch {
	case left.truth != nil && right.truth != nil:
		t, ok = logic(n.Operator, left, right)
	case left.value != nil && right.value != nil:
		if t, ok = withLiteral(n.Operator, left, right); ok {
			break
		}
		t, ok = comparison(n.Operator, left.value, right.value)
		if !ok {
			// The language reckons whole numbers with 64 bits, here they are
			// floats too: that many threads nobody has.
			t, ok = arithmetic(n.Operator, left.value, right.value)
		}
	}
	if !ok {
		return term{}, fault(n, "operator %s does not go between these", n.Operator)
	}
	return t, nil
}

// isLogic says whether (x op y) op z is x op (y op z), and y is looked at only
// if x does not decide.
func isLogic(op string) bool { return op == "&&" || op == "and" || op == "||" || op == "or" }

func logic(op string, left, right term) (t term, ok bool) {
	switch x, y := left.truth, right.truth; op {
	case "&&", "and":
		t.truth = func(v *view) bool { return x(v) && y(v) }
		t.needs = left.needs.and(right.needs)
	case "||", "or":
		t.truth = func(v *view) bool { return x(v) || y(v) }
		t.needs = left.needs.or(right.needs)
	case "==":
		t.truth = func(v *view) bool { return x(v) == y(v) }
	case "!=":
		t.truth = func(v *view) bool { return x(v) != y(v) }
	default:
		return t, false
	}
	return t, true
}

// withLiteral is for the usual: a figure compared with a literal, and a literal
// times a figure.
func withLiteral(op string, left, right term) (t term, ok bool) {
	switch x, y := left.value, right.value; {
	case op == ">=" && right.literal:
		n := right.n
		t.truth = func(v *view) bool { return x(v) >= n }
		t.needs = needs{{x, n}}
	case op == ">=" && right.beyond != nil:
		// Mostly the literal decides. What is not a number is no maximum.
		n, beyond := right.n, right.beyond
		t.truth = func(v *view) bool {
			is := x(v)
			return is >= n && !(beyond(v) > is)
		}
		t.needs = needs{{x, n}}
	case op == "*" && left.literal:
		n := left.n
		t.value = func(v *view) float64 { return n * y(v) }
	default:
		return t, false
	}
	return t, true
}

func comparison(op string, x, y number) (t term, ok bool) {
	switch op {
	case "<":
		t.truth = func(v *view) bool { return x(v) < y(v) }
	case "<=":
		t.truth = func(v *view) bool { return x(v) <= y(v) }
	case ">":
		t.truth = func(v *view) bool { return x(v) > y(v) }
	case ">=":
		t.truth = func(v *view) bool { return x(v) >= y(v) }
	case "==":
		t.truth = func(v *view) bool { return x(v) == y(v) }
	case "!=":
		t.truth = func(v *view) bool { return x(v) != y(v) }
	default:
		return t, false
	}
	return t, true
}

func arithmetic(op string, x, y number) (t term, ok bool) {
	switch op {
	case "+":
		t.value = func(v *view) float64 { return x(v) + y(v) }
	case "-":
		t.value = func(v *view) float64 { return x(v) - y(v) }
	case "*":
		t.value = func(v *view) float64 { return x(v) * y(v) }
	case "/":
		t.value = func(v *view) float64 { return x(v) / y(v) }
	case "**", "^":
		t.value = func(v *view) float64 { return math.Pow(x(v), y(v)) }
	default:
		return t, false
	}
	return t, true
}

func (c *compiler) builtin(n *ast.BuiltinNode) (term, error) {
	if len(n.Arguments) == 0 {
		return term{}, fault(n, "%s of nothing", n.Name)
	}
	first, err := c.term(n.Arguments[0])
	if err == nil && first.value == nil {
		err = fault(n.Arguments[0], "a number is needed here")
	}
	if err != nil {
		return term{}, err
	}
	result := first.value
	var beyond number
	if n.Name == "abs" {
		return term{value: func(v *view) float64 { return math.Abs(result(v)) }}, nil
	}
	for _, arg := range n.Arguments[1:] {
		y, err := c.number(arg)
		if err != nil {
			return term{}, err
		}
		x := result
		switch n.Name {
		case "min":
			result = func(v *view) float64 { return lesser(x(v), y(v)) }
		case "max":
			result = func(v *view) float64 { return -lesser(-x(v), -y(v)) }
			if first.literal && len(n.Arguments) == 2 {
				beyond = y
			}
		default:
			return term{}, fault(n, "%s is not for conditions", n.Name)
		}
	}
	return term{value: result, n: first.n, beyond: beyond}, nil
}

func (c *compiler) choice(n *ast.ConditionalNode) (term, error) {
	cond, err := c.truth(n.Cond)
	if err != nil {
		return term{}, err
	}
	x, err := c.term(n.Exp1)
	if err != nil {
		return term{}, err
	}
	if x.truth != nil {
		y, err := c.truth(n.Exp2)
		return term{truth: func(v *view) bool {
			if cond(v) {
				return x.truth(v)
			}
			return y(v)
		}}, err
	}
	y, err := c.number(n.Exp2)
	return term{value: func(v *view) float64 {
		if cond(v) {
			return x.value(v)
		}
		return y(v)
	}}, err
}

// lesser keeps x when the two cannot be compared, as the language does.
func lesser(x, y float64) float64 {
	if y < x {
		return y
	}
	return x
}
