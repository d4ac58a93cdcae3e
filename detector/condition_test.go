package detector

import (
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
)

// corpus has every kind of node that a condition can have.
var corpus = []string{
	"true", "false", "not false", "!(open > 1)",
	"open > 3", "open >= 3.5", "load1 < 2", "load5 <= 0.5", "open == 4", "open != 4", "4 == open",
	"1 + 2 > open", "7 / 2 < open", "-open < -3", "+open > 2", "open ** 2 > 9", "open ^ 0.5 > 2",
	"2 * 30 + 1 > oldest - opens / 2",
	"unproven.load1 >= 0.1 * pool.threads && pool.busy >= 0.8 * pool.threads",
	"open > 1 and load1 > 2 or not (pool.refused > 3)",
	"(open > 1) == (load1 > 1)", "(open > 1) != true",
	"open > 2 ? load1 > 1 : load5 > 1", "(open > 2 ? load1 : load5) > 1",
	"(open > 2 ? 1 : 2.5) * load1 > 3",
	"abs(load1 - load5) > 1", "min(load1, load5, 3) > 1", "max(load1, 2) > load5", "max(2, 0.05 * pool.threads) < open",
	"unproven.mean_age / unproven.open > 1", "0 * (open / 0) == 0", "open / 0 > 5",
	"open > 1 && load1 > 1 && load5 > 1 && load15 > 1 && fails > 1", "open < 3 || load1 < 3 or load5 < 3 || load15 < 3",
	"open > 2 && load1 > 2 || load5 > 4 && fails > 4 || short > 8", "(open > 2 || load1 > 2) && (load5 > 4 && fails > 4) && short > 2",
	"1 < open && open < 9", "thread_seconds > 1e3", "0x10 > open", "1_0 > open",
	"if open > 3 { load1 > 2 } else { load1 > 4 }",
	"open >= max(3, load1)", "load1 >= max(2, 0.1 * open / load5)", "open >= max(load1, 3)", "open >= max(3, load1, load5)",
	"open >= max(4, 0 * (load1 / 0))", "0 * (load1 / 0) >= max(4, open)", "open >= max(0 * (load1 / 0), 3)",
	"net.open > 3", "net.unproven.others >= max(3, 0.1 * pool.threads)", "net.unproven.mean_age + net.load1 > open",
	"pool.busy > 3 && pool.refused > 2 && net.blame1 > 1 && net.proven_age > 3600", "pool.busy > 3 && pool.refused > 2",
	"pool.busy > 3 && open > 2 && pool.refused > 2 || history.returns > 1", "history.bans > 1 && history.since < 60",
}

// randomFigures draws a view in which every figure has some value, together
// with the same values as the expression language wants them.
func randomFigures(r *rand.Rand) (values map[string]float64, env map[string]any) {
	values, env = make(map[string]float64), make(map[string]any)
	for _, f := range Figures() {
		x := float64(r.IntN(12)) // often equal to something
		switch r.IntN(8) {
		case 0:
			x = math.Exp(20*r.Float64() - 10)
		case 1:
			x = math.Inf(1)
		}
		values[f.Name] = x
		at, name := env, f.Name // groups within groups
		for {
			group, rest, grouped := strings.Cut(name, ".")
			if !grouped {
				break
			}
			if at[group] == nil {
				at[group] = make(map[string]any)
			}
			at, name = at[group].(map[string]any), rest
		}
		at[name] = x
	}
	return values, env
}

// compileOn compiles against figures that are read from a map.
func compileOn(text string, values *map[string]float64) (verdict, error) {
	fs := figures()
	for i := range fs {
		name := fs[i].Name
		fs[i].value = func(*view) float64 { return (*values)[name] }
	}
	return compileWith(text, fs)
}

// agrees compares a condition with the language's own virtual machine.
func agrees(t *testing.T, text string, r *rand.Rand) {
	t.Helper()
	var values map[string]float64
	ours, err := compileOn(text, &values)
	if err != nil {
		return
	}
	theirs, err := expr.Compile(text, expr.Env(vocabulary(figures())), expr.AsBool())
	if err != nil {
		t.Fatalf("%q: we compile it, expr says %v", text, err)
	}
	for range 20 {
		var env map[string]any
		values, env = randomFigures(r)
		want, err := expr.Run(theirs, env)
		if err != nil {
			t.Fatalf("%q: we compile it, expr cannot run it: %v", text, err)
		}
		if got := ours(nil); got != want {
			t.Fatalf("%q: %v, expr says %v, on %v", text, got, want, env)
		}
	}
}

func TestConditionsAgreeWithExpr(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, text := range corpus {
		if _, err := compile(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		agrees(t, text, r)
	}
	for _, p := range DefaultPolicies() {
		agrees(t, p.When, r)
	}
}

// big finds what may become a whole number that floats and 64 bits do not
// agree about.
var big = regexp.MustCompile(`[0-9][0-9a-fA-F_xobXOB]{3,}|\*.*\*.*\*.*\*|\*\*|\^`)

func FuzzCondition(f *testing.F) {
	for _, text := range corpus {
		f.Add(text, uint64(1))
	}
	f.Add("open > ", uint64(2))
	f.Add("len([1,2]) > open", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 300 || big.MatchString(text) {
			return
		}
		agrees(t, text, rand.New(rand.NewPCG(seed, 2)))
	})
}

func TestBadConditions(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line, col  int
	}{
		{"opne > 1", "unknown name opne", 1, 1},
		{"open > 1 &&\n  unproven.laod1 > 2", "unknown field laod1", 2, 12},
		{"pool.thread > 1", "", 1, 6},
		{"open >", "unexpected token", 1, 6},
		{"open", "expected bool, but got float", 0, 0},
		{"", "unexpected token", 0, 0},
		{"open > 'x'", "invalid operation", 1, 6},
		{"net.unproven > 1", "", 0, 0},
		{"pool.busy > 1 &&\n net.unproven.opne > 1", "unknown field opne", 2, 15},
		{"unproven > 1", "invalid operation", 1, 10},
		{"open in [1, 2]", "", 1, 9},
		{"open % 2 == 0", "", 1, 6},
		{"len('abc') > open", "unknown name len", 1, 1},
		{"any([1], # > open)", "only numbers", 1, 5},
		{"let x = 1; x > open", "only numbers", 1, 5},
		{"(open > 1 ? true : 1) == 1", "", 1, 0},
		{"unproven['open'] > 1 && open[0] > 1", "", 1, 0},
		{"min() > open", "", 1, 0},
		{"min(true, 1) > open", "", 1, 0},
		{"open ?? 1 > 2", "", 0, 0},
		{"now() > open", "unknown name now", 1, 1},
		{strings.Repeat("(", 100000), "", 0, 0},
		{strings.Repeat("open + ", 100000) + "1 > 2", "", 0, 0},
	} {
		_, err := compile(c.text)
		text := c.text[:min(len(c.text), 40)]
		if err == nil {
			t.Errorf("%q: no error", text)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want %q in it", text, err, c.want)
		}
		var at *file.Error
		if c.line == 0 {
			continue
		}
		if !errors.As(err, &at) {
			t.Errorf("%q: %v has no place", text, err)
		} else if at.Line != c.line || c.col > 0 && at.Column+1 != c.col {
			t.Errorf("%q: %d:%d, want %d:%d: %v", text, at.Line, at.Column+1, c.line, c.col, err)
		}
	}
}

func TestConditionsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	d := mustNew(t, Options{})
	l := newLogger(10)
	l.connect(ip(1))
	for i := range l.events {
		d.Observe(&l.events[i])
	}
	s := d.table.holders[0]
	v := view{now: d.now, s: s, p: d.pools.all[s.key.pool], d: d}
	for _, text := range append(corpus, DefaultPolicies()[0].When) {
		c, err := compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() { c(&v) }); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
