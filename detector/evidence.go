package detector

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// Decision is what a policy decided about a source. It is a value; nothing in
// it changes later.
type Decision struct {
	// ID is made of policy, source, boot and seq, so the same log gives the
	// same id whenever it is read.
	ID       string
	Policy   string
	Action   Action
	Source   netip.Prefix
	Services []string      // that the ban is for; nil: all
	At       time.Time     // time of the log, not of the clock
	Duration time.Duration // from At
	Evidence Evidence
}

// Evidence is what a decision rests on: the figures at that moment, rounded
// to three decimals so that their text is the same everywhere. Ages are in
// seconds, loads in threads, rates per minute.
type Evidence struct {
	Policy    string  `json:"policy"`
	Condition string  `json:"condition"`
	ForS      float64 `json:"for_s,omitempty"`
	// BanStorm says that there were too many bans within a minute, so that
	// this one became a suggestion.
	BanStorm bool `json:"ban_storm,omitempty"`
	// EarlierBans of the source within the policy's memory.
	EarlierBans int `json:"earlier_bans,omitempty"`

	Pool    string  `json:"pool"`
	Busy    int     `json:"busy"`
	Threads int     `json:"threads,omitempty"`
	Share   float64 `json:"share"` // of the pool's threads, held by the source
	// PoolRefused is the rate of busy refusals of the pool.
	PoolRefused float64 `json:"pool_refused"`

	Open          int     `json:"open"`
	OldestS       float64 `json:"oldest_s"`
	Load1         float64 `json:"load1"`
	Load5         float64 `json:"load5"`
	Load15        float64 `json:"load15"`
	ThreadSeconds float64 `json:"thread_seconds"`

	Unproven       int     `json:"unproven"`
	UnprovenOldest float64 `json:"unproven_oldest_s"`
	UnprovenMean   float64 `json:"unproven_mean_age_s"`
	UnprovenLoad1  float64 `json:"unproven_load1"`
	UnprovenLoad5  float64 `json:"unproven_load5"`
	UnprovenLoad15 float64 `json:"unproven_load15"`

	Opens          float64 `json:"opens"`
	Proven         float64 `json:"proven"`
	Proven15       float64 `json:"proven15"`
	Fails          float64 `json:"fails"`
	LoginsFailed   float64 `json:"logins_failed"`
	LoginsFailed15 float64 `json:"logins_failed15"`
	Refused        float64 `json:"refused"`
	Short          float64 `json:"short"`

	// Blame is how many busy refusals the source caused, Blame1 how many per
	// minute.
	Blame  float64 `json:"blame"`
	Blame1 float64 `json:"blame1"`

	Opens1h         float64 `json:"opens_1h"`
	Opens24h        float64 `json:"opens_24h"`
	Messages1h      float64 `json:"messages_1h"`
	Messages24h     float64 `json:"messages_24h"`
	LoginsFailed1h  float64 `json:"logins_failed_1h"`
	LoginsFailed24h float64 `json:"logins_failed_24h"`

	FirstSeen time.Time `json:"first_seen"` // whole seconds
	// The line of the log that was read last, and lines that opened up to five
	// of the connections it holds, as boot:seq.
	Boot  string   `json:"boot"`
	Seq   uint64   `json:"seq"`
	Lines []string `json:"lines,omitempty"`
}

// maxLines is the number of log positions that evidence names.
const maxLines = 5

// evidence takes down the view of the moment.
func (d *Detector) evidence(r *rule, v *view) Evidence {
	s, p := v.s, v.p
	return Evidence{
		Policy:    r.Name,
		Condition: r.When,
		ForS:      round(r.For.Seconds()),

		Pool:        p.name,
		Busy:        p.busy(),
		Threads:     p.threads,
		Share:       round(p.share(v.open())),
		PoolRefused: round(p.refused),

		Open:          v.open(),
		OldestS:       round(v.oldest()),
		Load1:         round(s.all.m1),
		Load5:         round(s.all.m5),
		Load15:        round(s.all.m15),
		ThreadSeconds: round(s.all.seconds),

		Unproven:       v.unproven(),
		UnprovenOldest: round(v.oldestUnproven()),
		UnprovenMean:   round(v.meanAge()),
		UnprovenLoad1:  round(s.unproven.m1),
		UnprovenLoad5:  round(s.unproven.m5),
		UnprovenLoad15: round(s.unproven.m15),

		Opens:          round(float64(s.rates.opens)),
		Proven:         round(float64(s.rates.proven)),
		Proven15:       round(float64(s.rates.proven15)),
		Fails:          round(float64(s.rates.fails)),
		LoginsFailed:   round(float64(s.rates.logins)),
		LoginsFailed15: round(float64(s.rates.logins15)),
		Refused:        round(float64(s.rates.refused)),
		Short:          round(float64(s.rates.short)),

		Blame:  round(s.blame),
		Blame1: round(float64(s.blame1)),

		Opens1h:         round(v.lastHour(windowOpens)),
		Opens24h:        round(v.lastDay(windowOpens)),
		Messages1h:      round(v.lastHour(windowMessages)),
		Messages24h:     round(v.lastDay(windowMessages)),
		LoginsFailed1h:  round(v.lastHour(windowLoginsFailed)),
		LoginsFailed24h: round(v.lastDay(windowLoginsFailed)),

		FirstSeen: time.Unix(int64(s.first), 0).UTC(),
		Boot:      d.boot,
		Seq:       d.seq,
		Lines:     d.lines(s.hold),
	}
}

// lines names the lines that opened what the source holds, the oldest
// unproven connections first.
func (d *Detector) lines(h *holding) []string {
	if h == nil {
		return nil
	}
	var out []string
	for _, l := range []conns{h.unproven, h.proven} {
		for c := l.first; c != nil && len(out) < maxLines; c = c.next {
			out = append(out, d.boot+":"+strconv.FormatUint(c.seq, 10))
		}
	}
	return out
}

// identity is the id of a decision.
func identity(policy string, source netip.Prefix, boot string, seq uint64) string {
	text := policy + "\x00" + source.String() + "\x00" + boot + "\x00" + strconv.FormatUint(seq, 10)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// round keeps three decimals.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
