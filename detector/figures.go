package detector

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"
)

// Figure is something a condition can ask for.
type Figure struct {
	Name    string // as it is written in a condition
	Unit    string
	Meaning string
}

// view is what a condition looks at: a source in a pool, or a net in one, run
// up to now.
type view struct {
	now int64
	s   *source // nil if it is a net
	n   *net    // of a source, nil until it is asked for
	p   *pool
	d   *Detector
}

// since is the age in seconds of what happened at t.
func (v *view) since(t int64) float64 { return float64(v.now-t) / micros }

func (v *view) open() int {
	if v.s.hold == nil {
		return 0
	}
	return v.s.hold.open
}

func (v *view) unproven() int {
	if v.s.hold == nil {
		return 0
	}
	return v.s.hold.openUnproven
}

func (v *view) proveTime() float64 {
	if v.s.hold == nil {
		return 0
	}
	return float64(v.s.hold.took)
}

func (v *view) oldest() float64 {
	if v.s.hold == nil {
		return 0
	}
	return v.since(v.s.hold.oldest())
}

func (v *view) oldestUnproven() float64 {
	if v.unproven() == 0 {
		return 0
	}
	return v.since(v.s.hold.unproven.first.opened)
}

func (v *view) meanAge() float64 {
	n := v.unproven()
	if n == 0 {
		return 0
	}
	return float64(int64(n)*v.now-v.s.hold.unprovenSum) / micros / float64(n)
}

// overtaken is how much later others were opened that got through.
func (v *view) overtaken() float64 {
	if v.unproven() == 0 {
		return 0
	}
	return v.p.passing.overtaken(v.meanAge(), v.now)
}

// rush compares what a source sits on with what it proves. It counts one more
// than that, since the first of few is no rush.
func (v *view) rush() float64 {
	n := float64(v.unproven())
	if n == 0 {
		return 0
	}
	rate := float64(max(v.s.rates.proven, v.s.rates.proven15))
	return n / (1 + v.p.passing.expected(v.meanAge(), rate, v.now))
}

// lastHour and lastDay are what a source has done of a kind.
func (v *view) lastHour(kind windowKind) float64 {
	return v.d.table.windows.hour(v.s, kind, v.now)
}

func (v *view) lastDay(kind windowKind) float64 {
	return v.d.table.windows.day(v.s, kind, v.now)
}

// number is a part of a compiled condition, and the way to a figure.
type number func(*view) float64

type figure struct {
	Figure
	value number
}

// figures is the table of all figures: conditions are checked and compiled
// against it, and the documentation is printed from it.
func figures() []figure {
	return slices.Concat(sourceFigures(), netFigures(), poolFigures())
}

// figuresAt are those that a policy of a level can ask for.
func figuresAt(level string) []figure {
	if level == LevelNet {
		return slices.Concat(netFigures(), poolFigures())
	}
	return figures()
}

// sourceFigures are about the source alone.
func sourceFigures() []figure {
	return []figure{
		{Figure{"open", "connections", "threads of the pool the source holds now"},
			func(v *view) float64 { return float64(v.open()) }},
		{Figure{"load1", "threads", "average of the threads it held, over 1 minute"},
			func(v *view) float64 { return v.s.all.m1 }},
		{Figure{"load5", "threads", "the same over 5 minutes"},
			func(v *view) float64 { return v.s.all.m5 }},
		{Figure{"load15", "threads", "the same over 15 minutes"},
			func(v *view) float64 { return v.s.all.m15 }},
		{Figure{"thread_seconds", "seconds", "thread time it has held in all"},
			func(v *view) float64 { return v.s.all.seconds }},
		{Figure{"oldest", "seconds", "age of its oldest open connection, 0 if none"},
			(*view).oldest},
		{Figure{"opens", "per minute", "connections it opened"},
			func(v *view) float64 { return float64(v.s.rates.opens) }},
		{Figure{"fails", "per minute", "failures of any kind: login, command, recipient, tls, virus"},
			func(v *view) float64 { return float64(v.s.rates.fails) }},
		{Figure{"logins_failed", "per minute", "failed logins"},
			func(v *view) float64 { return float64(v.s.rates.logins) }},
		{Figure{"logins_failed15", "per minute", "failed logins, averaged over 15 minutes"},
			func(v *view) float64 { return float64(v.s.rates.logins15) }},
		{Figure{"refused", "per minute", "its connections turned away as busy or over the session limit, not those turned away as banned"},
			func(v *view) float64 { return float64(v.s.rates.refused) }},
		{Figure{"proven", "per minute", "its connections that proved themselves"},
			func(v *view) float64 { return float64(v.s.rates.proven) }},
		{Figure{"proven15", "per minute", "the same, averaged over 15 minutes"},
			func(v *view) float64 { return float64(v.s.rates.proven15) }},
		{Figure{"prove_time", "seconds", "how long the slowest of its connections took to prove themselves, since it holds threads; 30 at the most, 0 if none has"},
			(*view).proveTime},
		{Figure{"short", "per minute", "its connections that ended unproven within a second"},
			func(v *view) float64 { return float64(v.s.rates.short) }},
		{Figure{"blame", "refusals", "busy refusals it caused in all: of each one its share of the threads held then"},
			func(v *view) float64 { return v.s.blame }},
		{Figure{"blame1", "per minute", "the same as a rate"},
			func(v *view) float64 { return float64(v.s.blame1) }},

		{Figure{"opens_1h", "connections", "connections it opened in the last hour"},
			func(v *view) float64 { return v.lastHour(windowOpens) }},
		{Figure{"opens_24h", "connections", "connections it opened in the last 24 hours"},
			func(v *view) float64 { return v.lastDay(windowOpens) }},
		{Figure{"by_message_1h", "connections", "its connections in the last hour that proved themselves by a message"},
			func(v *view) float64 { return v.lastHour(windowByMessage) }},
		{Figure{"by_message_24h", "connections", "the same in the last 24 hours"},
			func(v *view) float64 { return v.lastDay(windowByMessage) }},
		{Figure{"logins_failed_1h", "logins", "its failed logins in the last hour"},
			func(v *view) float64 { return v.lastHour(windowLoginsFailed) }},
		{Figure{"logins_failed_24h", "logins", "its failed logins in the last 24 hours"},
			func(v *view) float64 { return v.lastDay(windowLoginsFailed) }},

		{Figure{"unproven.open", "connections", "threads it holds now with unproven connections"},
			func(v *view) float64 { return float64(v.unproven()) }},
		{Figure{"unproven.load1", "threads", "average of the threads it held with unproven connections, over 1 minute"},
			func(v *view) float64 { return v.s.unproven.m1 }},
		{Figure{"unproven.load5", "threads", "the same over 5 minutes"},
			func(v *view) float64 { return v.s.unproven.m5 }},
		{Figure{"unproven.load15", "threads", "the same over 15 minutes"},
			func(v *view) float64 { return v.s.unproven.m15 }},
		{Figure{"unproven.thread_seconds", "seconds", "thread time it has held unproven in all"},
			func(v *view) float64 { return v.s.unproven.seconds }},
		{Figure{"unproven.oldest", "seconds", "age of its oldest open unproven connection, 0 if none"},
			(*view).oldestUnproven},
		{Figure{"unproven.mean_age", "seconds", "mean age of its open unproven connections, 0 if none"},
			(*view).meanAge},
		{Figure{"unproven.overtaken", "seconds", "how much later than these, on average, the latest connections of the pool were opened that have proven themselves, of three sources; 0 if earlier"},
			(*view).overtaken},
		{Figure{"unproven.rush", "times", "how many times as many of these there are as it would have proven in that time, which begins with the latest that got through"},
			(*view).rush},

		{Figure{"history.bans", "bans", "earlier bans of the source that are remembered"},
			func(v *view) float64 { return float64(v.history().bans) }},
		{Figure{"history.since", "seconds", "time since the last of them ended, infinite if there is none"},
			func(v *view) float64 { return v.history().since }},
		{Figure{"history.returns", "bans", "how many of them were within an hour of the end of one before"},
			func(v *view) float64 { return float64(v.history().returns) }},
	}
}

// poolFigures are about the pool.
func poolFigures() []figure {
	return []figure{
		{Figure{"pool.threads", "threads", "size of the pool; infinite while the log has not told"},
			func(v *view) float64 { return v.p.size() }},
		{Figure{"pool.busy", "threads", "threads of the pool held now, by anybody"},
			func(v *view) float64 { return float64(v.p.busy()) }},
		{Figure{"pool.unproven", "connections", "open unproven connections in the pool"},
			func(v *view) float64 { return float64(v.p.unproven) }},
		{Figure{"pool.sources", "sources", "sources that hold a thread of the pool"},
			func(v *view) float64 { return float64(v.p.sources) }},
		{Figure{"pool.load1", "threads", "average of the pool's threads held, over 1 minute"},
			func(v *view) float64 { return v.p.load.m1 }},
		{Figure{"pool.load5", "threads", "the same over 5 minutes"},
			func(v *view) float64 { return v.p.load.m5 }},
		{Figure{"pool.load15", "threads", "the same over 15 minutes"},
			func(v *view) float64 { return v.p.load.m15 }},
		{Figure{"pool.refused", "per minute", "connections turned away because the pool was full"},
			func(v *view) float64 { return v.p.refused }},
		{Figure{"pool.proven", "per minute", "connections of the pool that proved themselves"},
			func(v *view) float64 { return v.p.proofs.m1 }},
		{Figure{"pool.proven15", "per minute", "the same, averaged over 15 minutes"},
			func(v *view) float64 { return v.p.proofs.m15 }},
		{Figure{"pool.prove_time", "seconds", "how long the slow ones took to prove themselves in about the last minute: a tenth of the sources that did, and three of them at the least, took as long or longer; to within a tenth"},
			func(v *view) float64 { return v.p.proofs.slow() }},
		{Figure{"pool.scan_wait", "seconds", "how long messages waited for a scanner, on average of those of the last minute that did"},
			func(v *view) float64 { return v.p.scans.wait() }},
		{Figure{"pool.rush", "times", "how many times as many newcomers as usual came, of those in the pool that are unproven and that nobody has overtaken by max(1, 2 * min(pool.prove_time, 12)) seconds; infinite while it is not known who gets through"},
			func(v *view) float64 { return v.p.passing.rush(v.now) }},
	}
}

// Figures returns all figures a condition can use, in the order of the
// documentation. Rates are averages over one minute unless the name says
// otherwise: a steady r events a minute read r, and one event alone reads 1
// and fades by half in 42 seconds.
func Figures() []Figure {
	var out []Figure
	for _, f := range figures() {
		out = append(out, f.Figure)
	}
	return out
}

// vocabulary is the table as the expression checker wants it: every figure is
// a float, grouped by the words before its dots, and nothing else is known.
func vocabulary(fs []figure) types.Map {
	top := types.Map{}
	for _, f := range fs {
		words := strings.Split(f.Name, ".")
		last := len(words) - 1
		in := top
		for _, group := range words[:last] {
			if in[group] == nil {
				in[group] = types.Map{}
			}
			in = in[group].(types.Map)
		}
		in[words[last]] = types.Float64
	}
	return top
}
