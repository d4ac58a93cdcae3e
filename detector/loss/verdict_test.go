package loss

import (
	"math"
	"slices"
	"testing"
)

func exactly(n int64) Spread { return Spread{Min: n, Median: n, Max: n} }

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		g    Grounds
		want Verdict
		also []Verdict
	}{
		"nothing":           {want: Healthy},
		"within the target": {g: Grounds{Tried: 10_000, Refused: exactly(10), Target: 0.001, Ban: exactly(10)}, want: Healthy},
		"above the target":  {g: Grounds{Tried: 10_000, Refused: exactly(11), Target: 0.001, Ban: exactly(11), Both: exactly(11)}, want: Attack},
		"attack": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: exactly(25), NoWait: exactly(3), Threads: exactly(24), Both: exactly(26), Left: exactly(24)},
			want: Attack, also: []Verdict{Undersized}},
		"scanner":    {g: Grounds{Tried: 100, Refused: exactly(50), Ban: exactly(5), NoWait: exactly(40), Threads: exactly(50), Both: exactly(42), Left: exactly(8)}, want: Scanner},
		"undersized": {g: Grounds{Tried: 100, Refused: exactly(50), Threads: exactly(49), Left: exactly(50)}, want: Undersized},
		"none averts half": {g: Grounds{Tried: 100, Refused: exactly(51), Ban: exactly(25), Threads: exactly(40), Both: exactly(26), Left: exactly(25)},
			want: Mixed, also: []Verdict{Attack, Undersized}},
		"a crowd and an attacker who takes what there is": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: exactly(8), Threads: exactly(5), Both: exactly(8), Left: exactly(42)},
			want: Mixed, also: []Verdict{Attack, Undersized}},
		"ban and scanners, only together": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: exactly(4), NoWait: exactly(4), Threads: exactly(3), Both: exactly(48), Left: exactly(2)},
			want: Mixed, also: []Verdict{Attack, Scanner}},
		"as much as another": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: Spread{40, 44, 49}, NoWait: Spread{46, 48, 50}, Both: exactly(50)},
			want: Attack, also: []Verdict{Scanner}},
		"clearly more": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: Spread{40, 44, 45}, NoWait: Spread{46, 48, 50}, Both: exactly(50)},
			want: Scanner, also: []Verdict{Attack}},
		"a ban that harms": {g: Grounds{Tried: 100, Refused: exactly(50), Ban: exactly(-3), Threads: exactly(50), Both: exactly(-3), Left: exactly(53)}, want: Undersized},
		"huge":             {g: Grounds{Tried: math.MaxInt64, Refused: exactly(math.MaxInt64), Ban: exactly(math.MaxInt64), Both: exactly(math.MaxInt64)}, want: Attack},
		"one":              {g: Grounds{Tried: 1, Refused: exactly(1), Threads: exactly(1)}, want: Mixed},
	} {
		got := Judge(c.g)
		if got.Verdict != c.want || !slices.Equal(got.Also, c.also) {
			t.Errorf("%s: %v, also %v; want %v, also %v", name, got.Verdict, got.Also, c.want, c.also)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []int64
		want Spread
	}{{nil, Spread{}}, {[]int64{3}, exactly(3)}, {[]int64{4, 1, 2, 9}, Spread{1, 2, 9}}, {[]int64{5, -1, 2}, Spread{-1, 2, 5}}} {
		if got := spreadOf(c.in); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.in, got, c.want)
		}
	}
}
