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

	// HistoryBans is how many earlier bans of the source are remembered at all,
	// and HistoryReturns how many of them were within an hour of the end of one.
	HistoryBans    int `json:"history_bans,omitempty"`
	HistoryReturns int `json:"history_returns,omitempty"`
	// ScanWait is how long messages waited for a scanner, in seconds.
	ScanWait float64 `json:"scan_wait,omitempty"`
	// Level is LevelNet if the figures are those of a net, else empty.
	Level string `json:"level,omitempty"`
	// Net is what was known of the net, if others in it held threads too.
	Net *NetEvidence `json:"net,omitempty"`

	Pool    string  `json:"pool"`
	Busy    int     `json:"busy"`
	Threads int     `json:"threads,omitempty"`
	Share   float64 `json:"share"` // of the pool's threads, held by the source
	// PoolRefused is the rate of busy refusals of the pool.
	PoolRefused float64 `json:"pool_refused"`
	// PoolRush is how many times as many newcomers as usual came of late, as the
	// figure pool.rush has it, or 0 if that is not known.
	PoolRush float64 `json:"pool_rush,omitempty"`

	Open          int     `json:"open"`
	OldestS       float64 `json:"oldest_s"`
	Load1         float64 `json:"load1"`
	Load5         float64 `json:"load5"`
	Load15        float64 `json:"load15"`
	ThreadSeconds float64 `json:"thread_seconds"`

	Unproven       int     `json:"unproven"`
	UnprovenOldest float64 `json:"unproven_oldest_s"`
	UnprovenMean   float64 `json:"unproven_mean_age_s"`
	OvertakenS     float64 `json:"overtaken_s,omitempty"` // others who came so much later got through
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
	ByMessage1h     float64 `json:"by_message_1h"`
	ByMessage24h    float64 `json:"by_message_24h"`
	LoginsFailed1h  float64 `json:"logins_failed_1h"`
	LoginsFailed24h float64 `json:"logins_failed_24h"`

	FirstSeen time.Time `json:"first_seen"` // whole seconds
	// The line of the log that was read last, and lines that opened up to five
	// of the connections it holds, as boot:seq.
	Boot  string   `json:"boot"`
	Seq   uint64   `json:"seq"`
	Lines []string `json:"lines,omitempty"`
}

// NetEvidence is a net in a pool at the moment of a decision about it, or
// about a source in it.
type NetEvidence struct {
	Prefix  netip.Prefix `json:"prefix"`  // that was looked at; a decision may name a part of it
	Members int          `json:"members"` // sources of it that hold a thread
	Open    int          `json:"open"`    // threads they hold
	Share   float64      `json:"share"`   // of the pool's threads

	UnprovenMembers int `json:"unproven_members"`
	Unproven        int `json:"unproven"` // threads, with unproven connections
	Others          int `json:"others"`   // of these, those that the loudest member does not hold

	Load1         float64 `json:"load1"`
	Load5         float64 `json:"load5"`
	Load15        float64 `json:"load15"`
	UnprovenLoad1 float64 `json:"unproven_load1"`
	UnprovenLoad5 float64 `json:"unproven_load5"`

	// Within is how many of the members lie in the source of the decision, and
	// Part the part of the net's load that is theirs.
	Within int     `json:"within"`
	Part   float64 `json:"part"`
}

// maxLines is the number of log positions that evidence names.
const maxLines = 5

// evidence takes down the view of the moment.
func (d *Detector) evidence(r *rule, v *view, about target) Evidence {
	e := Evidence{
		Policy:    r.Name,
		Condition: r.When,
		ForS:      round(r.For.Seconds()),

		Pool:        v.p.name,
		Busy:        v.p.busy(),
		Threads:     v.p.threads,
		PoolRefused: round(v.p.refused),
		ScanWait:    round(v.p.scans.wait()),

		Boot: d.boot,
		Seq:  d.seq,
	}
	if rush := v.p.passing.rush(v.now); !math.IsInf(rush, 1) {
		e.PoolRush = round(rush)
	}
	if r.net {
		e.Level = LevelNet
		d.ofNet(&e, v)
	} else {
		d.ofSource(&e, v)
	}
	if n := v.net(); n.members > 1 {
		e.Net = d.netEvidence(n, v, about)
	}
	return e
}

// ofSource fills in the figures of the source in view.
func (d *Detector) ofSource(e *Evidence, v *view) {
	s := v.s
	e.Share = round(v.p.share(v.open()))
	e.Open = v.open()
	e.OldestS = round(v.oldest())
	e.Load1 = round(s.all.m1)
	e.Load5 = round(s.all.m5)
	e.Load15 = round(s.all.m15)
	e.ThreadSeconds = round(s.all.seconds)

	e.Unproven = v.unproven()
	e.UnprovenOldest = round(v.oldestUnproven())
	e.UnprovenMean = round(v.meanAge())
	e.OvertakenS = round(v.overtaken())
	e.UnprovenLoad1 = round(s.unproven.m1)
	e.UnprovenLoad5 = round(s.unproven.m5)
	e.UnprovenLoad15 = round(s.unproven.m15)

	e.Opens = round(float64(s.rates.opens))
	e.Proven = round(float64(s.rates.proven))
	e.Proven15 = round(float64(s.rates.proven15))
	e.Fails = round(float64(s.rates.fails))
	e.LoginsFailed = round(float64(s.rates.logins))
	e.LoginsFailed15 = round(float64(s.rates.logins15))
	e.Refused = round(float64(s.rates.refused))
	e.Short = round(float64(s.rates.short))

	e.Blame = round(s.blame)
	e.Blame1 = round(float64(s.blame1))

	e.Opens1h = round(v.lastHour(windowOpens))
	e.Opens24h = round(v.lastDay(windowOpens))
	e.ByMessage1h = round(v.lastHour(windowByMessage))
	e.ByMessage24h = round(v.lastDay(windowByMessage))
	e.LoginsFailed1h = round(v.lastHour(windowLoginsFailed))
	e.LoginsFailed24h = round(v.lastDay(windowLoginsFailed))

	past := v.history()
	e.HistoryBans, e.HistoryReturns = past.bans, past.returns
	e.FirstSeen = time.Unix(int64(s.first), 0).UTC()
	e.Lines = d.lines(s.hold)
}

// lines names the lines that opened what the source holds, the oldest
// unproven connections first.
func (d *Detector) lines(h *holding) []string {
	if h == nil || d.boot == "" {
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

// line is the number of the line in the log, or its time where lines have no
// numbers, as in other servers' logs.
func (d *Detector) line() uint64 {
	if d.boot == "" {
		return uint64(d.logTime(d.now).UnixMicro())
	}
	return d.seq
}

// identity is the id of a decision.
func identity(policy string, source netip.Prefix, boot string, seq uint64) string {
	text := policy + "\x00" + source.String() + "\x00" + boot + "\x00" + strconv.FormatUint(seq, 10)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}

// round keeps three decimals.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }
