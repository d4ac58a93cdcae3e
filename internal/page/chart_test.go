package page

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// heights reads a path of steps back: what it shows of each bucket, in units
// above the ground.
func heights(t *testing.T, path string, buckets int) []int {
	t.Helper()
	all := make([]int, buckets)
	x, y := 0, 0
	for _, step := range strings.FieldsFunc(strings.NewReplacer("M", " M", "V", " V", "H", " H", "Z", "").Replace(path), func(r rune) bool { return r == ' ' }) {
		to, err := strconv.Atoi(strings.TrimLeft(step, "MVH"))
		if err != nil {
			t.Fatalf("%q in %q: %v", step, path, err)
		}
		switch step[0] {
		case 'M':
			x = to
		case 'H':
			for ; x < to; x++ {
				all[x] = unitsHigh - y
			}
		default: // V, and the second number of M.
			y = to
		}
	}
	return all
}

// TestStackShowsSums draws random stacks and reads the drawing back.
func TestStackShowsSums(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 60 {
		n := 1 + random.IntN(MaxBuckets)
		c := &Chart{From: time.Unix(0, 0), To: time.Unix(3600, 0)}
		for range 1 + random.IntN(MaxSeries) {
			values := make([]float64, n)
			for b := range values {
				values[b] = max(0, 10*random.Float64()-3)
			}
			c.Stack = append(c.Stack, Series{Values: values})
		}
		d, err := draw(c, "chart", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		sums := c.sums(n)
		top := axisFor(greatest(sums[len(sums)-1]), 5).Top
		for i, s := range slices.Backward(c.Stack) { // The highest sum is painted first.
			if greatest(s.Values) == 0 {
				continue
			}
			for b, units := range heights(t, d.Areas[0].Path, n) {
				if want := int(math.Round(unitsHigh * sums[i][b] / top)); units < want-1 || units > want+1 {
					t.Fatalf("series %d shows %d units of bucket %d, want %d", i, units, b, want)
				}
			}
			d.Areas = d.Areas[1:]
		}
		if len(d.Areas) > 0 {
			t.Fatalf("%d areas too many", len(d.Areas))
		}
	}
}

// TestNumbersStandInTheirAreas wants each number of a series inside of it.
func TestNumbersStandInTheirAreas(t *testing.T) {
	c := &Chart{
		From: time.Unix(0, 0), To: time.Unix(100, 0),
		Stack: []Series{{Values: make([]float64, 100)}, {Values: make([]float64, 100)}, {Values: make([]float64, 100), Rest: true}},
	}
	for b := 20; b < 60; b++ {
		c.Stack[0].Values[b] = 4
		c.Stack[1].Values[b] = float64(b) / 6
		c.Stack[2].Values[b] = 20 - float64(b)/6
	}
	d, err := draw(c, "chart", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Marks) != 2 {
		t.Fatalf("%d numbers, want 2: the rest has none", len(d.Marks))
	}
	for _, m := range d.Marks {
		x, y := float64At(t, m.X), (1-float64At(t, m.Y))*axisFor(24, 5).Top
		b := int(x * 100)
		low := 0.0
		if m.Series == 2 {
			low = 4
		}
		if high := low + c.Stack[m.Series-1].Values[b]; y <= low || y >= high {
			t.Errorf("number %d stands at %.1f in bucket %d, its area is from %.1f to %.1f", m.Series, y, b, low, high)
		}
	}
}

func float64At(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v / 100
}

// TestRefusalsStandUnderTheirTime wants a refusal in the same place of the axis
// as what was held then.
func TestRefusalsStandUnderTheirTime(t *testing.T) {
	c := &Chart{
		From: time.Unix(0, 0), To: time.Unix(100, 0),
		Stack: []Series{{Values: make([]float64, 50)}}, Refused: Series{Values: make([]float64, 50)},
	}
	c.Stack[0].Values[17], c.Refused.Values[17] = 8, 30
	d, err := draw(c, "chart", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	held, refused := heights(t, d.Areas[0].Path, 50), heights(t, d.Bars, 50)
	for b := range held {
		if (held[b] > 0) != (b == 17) || (refused[b] > 0) != (b == 17) {
			t.Errorf("bucket %d: held %d, refused %d units", b, held[b], refused[b])
		}
	}
	if want := "1 Jan 00:00:34 – 00:00:36"; !strings.HasPrefix(d.Tips[17], want) {
		t.Errorf("the tip begins %q, want %q", d.Tips[17], want)
	}
}

// TestLimit wants the line of the pool's size where it is known, and a number
// in its place where a line would press everything else flat.
func TestLimit(t *testing.T) {
	c := &Chart{From: time.Unix(0, 0), To: time.Unix(4, 0), Stack: []Series{{Values: []float64{3, 4, 4, 2}}}}
	for _, test := range []struct {
		limit       []float64
		path, above string
	}{
		{nil, "", ""},
		{[]float64{0, 0, 0, 0}, "", ""},
		{[]float64{5, 5, 0, 10}, "M0 500H1V500H2M3 0H4", ""},
		{[]float64{100, 100, 100, 100}, "", "↑ 100"},
	} {
		c.Limit.Values = test.limit
		d, err := draw(c, "chart", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if d.Limit != test.path || d.Above != test.above {
			t.Errorf("limit %v: line %q and %q, want %q and %q", test.limit, d.Limit, d.Above, test.path, test.above)
		}
	}
}

// TestChartsThatDoNotFit wants an error for each.
func TestChartsThatDoNotFit(t *testing.T) {
	from, to := time.Unix(0, 0), time.Unix(60, 0)
	one := []Series{{Values: []float64{1, 2}}}
	for name, c := range map[string]*Chart{
		"nothing held": {From: from, To: to},
		"no bucket":    {From: from, To: to, Stack: []Series{{}}},
		"no time":      {From: from, To: from, Stack: one},
		"back in time": {From: to, To: from, Stack: one},
		"uneven stack": {From: from, To: to, Stack: []Series{one[0], {Values: []float64{1}}}},
		"uneven line":  {From: from, To: to, Stack: one, Most: Series{Values: []float64{1}}},
		"too long":     {From: from, To: to, Stack: []Series{{Values: make([]float64, MaxBuckets+1)}}},
		"too many":     {From: from, To: to, Stack: make([]Series, MaxSeries+1)},
	} {
		if _, err := draw(c, "chart", time.UTC); !errors.Is(err, ErrChart) {
			t.Errorf("%s: error %v, want %v", name, err, ErrChart)
		}
	}
}

// TestUnsoundNumbers draws what no number of threads is.
func TestUnsoundNumbers(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), -3, 2}
	c := &Chart{From: time.Unix(0, 0), To: time.Unix(5, 0), Stack: []Series{{Values: odd}}, Refused: Series{Values: odd}, Most: Series{Values: odd}}
	d, err := draw(c, "chart", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{d.Areas[0].Path, d.Bars} {
		if got := fmt.Sprint(heights(t, path, 5)); got != "[0 0 0 0 1000]" {
			t.Errorf("%q shows %s, want the last bucket only", path, got)
		}
	}
}
