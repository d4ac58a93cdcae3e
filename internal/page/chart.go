package page

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrChart is the error of a chart whose series do not fit each other, or are
// too many or too long to be drawn.
var ErrChart = errors.New("page: a chart's series do not fit")

// The drawing is stretched to the width of the screen, so that one file suits
// all: shapes are in units of buckets and thousandths of the height, text
// stands at percentages and keeps its size.
const unitsHigh = 1000

// drawing is a chart as the template needs it.
type drawing struct {
	ID      string
	Chart   *Chart
	Buckets int

	Legend []key
	Areas  []area // the highest sum first: the lower ones are painted over it
	Most   string // paths of the lines
	Limit  string
	Above  string // the limit, where it is far above all that was held
	Bars   string

	Held, Refused []mark // ticks
	Many, Few     []mark // ticks of time, on a wide screen and on a narrow one
	Marks         []number
	Tips          []string
	Widest        string // label of a tick of numbers
}

// key is an entry of the legend.
type key struct{ Class, Number, Name string }

// area is everything up to one sum of the stack.
type area struct{ Class, Path string }

// number is the number of a series, written into its area.
type number struct {
	X, Y   string
	Series int
}

// draw computes the shapes of a chart.
func draw(c *Chart, id string, zone *time.Location) (*drawing, error) {
	n, err := c.buckets()
	if err != nil {
		return nil, err
	}
	sums := c.sums(n)
	top := 0.0
	for _, s := range append([][]float64{c.Most.Values}, sums...) {
		top = max(top, greatest(s))
	}
	d := &drawing{ID: id, Chart: c, Buckets: n}
	limit := greatest(c.Limit.Values)
	// A pool that was never near full would press all that was held flat.
	if far := limit > 3*top && top > 0; far {
		d.Above = "↑ " + numberText(limit)
	} else {
		top = max(top, limit)
	}
	held, refused := axisFor(top, 5), axisFor(greatest(c.Refused.Values), 2)
	for i := len(sums) - 1; i >= 0; i-- {
		if greatest(c.Stack[i].Values) > 0 {
			d.Areas = append(d.Areas, area{c.class(i, "f"), areaPath(sums[i], held.Top)})
		}
	}
	d.Marks = c.numbers(sums, held.Top)
	d.Most = stepPath(c.Most.Values, held.Top)
	if d.Above == "" {
		d.Limit = stepPath(c.Limit.Values, held.Top)
	}
	if greatest(c.Refused.Values) > 0 {
		d.Bars = areaPath(c.Refused.Values, refused.Top)
		d.Refused = refused.marks()
	}
	d.Held = held.marks()
	for _, m := range append(d.Held, d.Refused...) {
		if len(m.Label) > len(d.Widest) {
			d.Widest = m.Label
		}
	}
	d.Many, d.Few = timeMarks(c.From, c.To, zone, 9), timeMarks(c.From, c.To, zone, 4)
	d.Legend = c.legend(d)
	d.Tips = c.tips(n, zone)
	return d, nil
}

// buckets returns how many there are.
func (c *Chart) buckets() (int, error) {
	if len(c.Stack) == 0 || len(c.Stack) > MaxSeries || !c.From.Before(c.To) {
		return 0, ErrChart
	}
	n := len(c.Stack[0].Values)
	if n == 0 || n > MaxBuckets {
		return 0, ErrChart
	}
	for _, s := range c.Stack {
		if len(s.Values) != n {
			return 0, ErrChart
		}
	}
	for _, s := range []Series{c.Most, c.Limit, c.Refused} {
		if len(s.Values) != n && len(s.Values) != 0 {
			return 0, ErrChart
		}
	}
	return n, nil
}

// sums returns, for each series of the stack, its sum with all those below it.
func (c *Chart) sums(n int) [][]float64 {
	all := make([][]float64, len(c.Stack))
	below := make([]float64, n)
	for i, s := range c.Stack {
		all[i] = make([]float64, n)
		for b, v := range s.Values {
			all[i][b] = below[b] + sound(v)
		}
		below = all[i]
	}
	return all
}

// sound makes of what is no number, or less than nothing, nothing.
func sound(v float64) float64 {
	if v > 0 && !math.IsInf(v, 1) {
		return v
	}
	return 0
}

func greatest(values []float64) (most float64) {
	for _, v := range values {
		most = max(most, sound(v))
	}
	return most
}

// class is the class of a series: its number, or that it is the rest.
func (c *Chart) class(i int, prefix string) string {
	if c.Stack[i].Rest || i >= MaxSeries-1 {
		return "rest"
	}
	return prefix + strconv.Itoa(i+1)
}

// height is where a value stands, in units from the top.
func height(v, top float64) string {
	return strconv.Itoa(unitsHigh - int(math.Round(min(sound(v)/top, 1)*unitsHigh)))
}

// areaPath is everything under the steps of a series.
func areaPath(values []float64, top float64) string {
	var p strings.Builder
	ground := height(0, top)
	p.WriteString("M0 " + ground)
	for i, last := 0, ground; i < len(values); {
		y, next := height(values[i], top), i+1
		for next < len(values) && height(values[next], top) == y {
			next++
		}
		if y != last {
			p.WriteString("V" + y)
		}
		p.WriteString("H" + strconv.Itoa(next))
		i, last = next, y
	}
	p.WriteString("V" + ground + "Z")
	return p.String()
}

// stepPath is a line along the steps of a series, with gaps where it is zero.
func stepPath(values []float64, top float64) string {
	var p strings.Builder
	drawn := false
	for i, v := range values {
		if sound(v) == 0 {
			drawn = false
			continue
		}
		if y := height(v, top); drawn {
			p.WriteString("V" + y)
		} else {
			p.WriteString("M" + strconv.Itoa(i) + " " + y)
		}
		p.WriteString("H" + strconv.Itoa(i+1))
		drawn = true
	}
	return p.String()
}

// Room that a number needs in its area, as shares of the chart.
const (
	numberWide = .03
	numberHigh = .055
)

// numbers places the number of each series where its area is the thickest.
func (c *Chart) numbers(sums [][]float64, top float64) []number {
	var all []number
	below := make([]float64, len(sums[0]))
	for i, sum := range sums {
		if class := c.class(i, ""); class != "rest" {
			if at, y, ok := room(below, sum, top); ok {
				all = append(all, number{X: percent(at), Y: percent(1 - y), Series: i + 1})
			}
		}
		below = sum
	}
	return all
}

// room finds the place between two sums where a number has the most of it, as
// shares of the width and of the height: in the middle of the first such place.
func room(below, above []float64, top float64) (x, y float64, ok bool) {
	n := len(above)
	wide := max(1, int(math.Ceil(float64(n)*numberWide)))
	best, first, last := numberHigh, 0, -1
	for i := 0; i+wide <= n; i++ {
		switch floor, ceiling := gap(below[i:i+wide], above[i:i+wide]); {
		case (ceiling-floor)/top > best:
			best, first, last = (ceiling-floor)/top, i, i
			y = (ceiling + floor) / 2 / top
		case last == i-1 && (ceiling-floor)/top == best && (ceiling+floor)/2/top == y:
			last = i
		}
	}
	return (float64(first+last+wide) / 2) / float64(n), y, last >= 0
}

// gap is what is free between two sums all along them.
func gap(below, above []float64) (floor, ceiling float64) {
	ceiling = math.Inf(1)
	for i := range below {
		floor, ceiling = max(floor, below[i]), min(ceiling, above[i])
	}
	return floor, ceiling
}

// legend explains what is drawn.
func (c *Chart) legend(d *drawing) []key {
	var all []key
	for i, s := range c.Stack {
		if greatest(s.Values) == 0 {
			continue // Nothing of it is drawn.
		}
		class, digit := c.class(i, "k"), ""
		if class != "rest" {
			digit = strconv.Itoa(i + 1)
		}
		all = append(all, key{class, digit, s.Name})
	}
	if d.Most != "" {
		all = append(all, key{"most", "", c.Most.Name})
	}
	if d.Limit != "" || d.Above != "" {
		all = append(all, key{"limit", "", c.Limit.Name})
	}
	if d.Bars != "" {
		all = append(all, key{"refused", "", c.Refused.Name})
	}
	return all
}

// tips says in numbers what each bucket shows.
func (c *Chart) tips(n int, zone *time.Location) []string {
	all := make([]string, 0, n)
	wide := c.To.Sub(c.From) / time.Duration(n)
	clock := time.TimeOnly
	if wide%time.Second != 0 {
		clock += ".0"
	}
	for b := range n {
		var t strings.Builder
		begin := c.From.Add(time.Duration(b) * wide).In(zone)
		fmt.Fprintf(&t, "%s – %s", begin.Format("2 Jan "+clock), begin.Add(wide).Format(clock))
		line := func(name string, values []float64) {
			if len(values) > 0 && sound(values[b]) >= .05 {
				fmt.Fprintf(&t, "\n%s: %s", clean(name, 60), numberText(values[b]))
			}
		}
		for i := range c.Stack {
			line(c.Stack[i].Name, c.Stack[i].Values)
		}
		line(c.Most.Name, c.Most.Values)
		line(c.Limit.Name, c.Limit.Values)
		line(c.Refused.Name, c.Refused.Values)
		all = append(all, t.String())
	}
	return all
}
