package main

import (
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector/cause"
	"overstay/internal/app"
	"overstay/internal/guard"
)

// sourceView is what is known of a source as JSON.
type sourceView struct {
	Source    string               `json:"source"`
	State     banlist.State        `json:"state,omitempty"`
	Entries   []banlist.Ban        `json:"entries"`
	Allowed   *banlist.Allowance   `json:"allowed"`
	Guarded   []guardView          `json:"guarded"`
	History   []banlist.Transition `json:"history"`
	Log       app.LogsRead         `json:"log"`
	Seen      seenView             `json:"seen"`
	Place     int                  `json:"place,omitempty"`
	Sources   int                  `json:"sources"`
	Ranks     []rankView           `json:"ranks"`
	Pools     []poolView           `json:"pools"`
	Decisions []decisionView       `json:"decisions"`
	Effect    any                  `json:"effect"`
	Net       string               `json:"net,omitempty"` // around it, that the policies find
	NetEffect *cause.Report        `json:"net_effect,omitempty"`
}

type guardView struct {
	Host  string     `json:"host"`
	Guard guard.Kind `json:"guard"`
}

type seenView struct {
	First     time.Time                 `json:"first,omitzero"`
	Last      time.Time                 `json:"last,omitzero"`
	Addresses int                       `json:"addresses"`
	Opened    uint64                    `json:"opened"`
	Proven    uint64                    `json:"proven"`
	Fails     map[connlog.What]uint64   `json:"fails"`
	Refused   map[connlog.Reason]uint64 `json:"refused"`
	Ended     map[connlog.End]uint64    `json:"ended"`
	Held      float64                   `json:"held_s"`
	Open      []openView                `json:"open"`
	Lines     []string                  `json:"lines"`
}

type openView struct {
	Service string    `json:"service"`
	Client  string    `json:"client_ip"`
	Since   time.Time `json:"since"`
	Proven  bool      `json:"proven"`
	Line    string    `json:"line"`
}

func viewSource(r *app.SourceReport) sourceView {
	s := &r.Seen
	v := sourceView{
		Source: sourceText(r.Source), State: r.State(), Entries: orEmpty(r.Entries), Allowed: r.Allowed, Guarded: []guardView{}, History: orEmpty(r.History),
		Log: r.Read, Place: r.Place, Sources: r.Sources, Ranks: viewRanks(r.Ranks), Pools: viewPools(r.Pools),
		Decisions: viewDecisions(r.Decisions), Effect: r.Effect,
		Seen: seenView{
			First: s.First, Last: s.Last, Addresses: s.Addresses, Opened: s.Opened, Proven: s.Proven,
			Fails: s.Fails, Refused: s.Refused, Ended: s.Ended, Held: s.Held.Seconds(), Open: []openView{}, Lines: orEmpty(s.Lines),
		},
	}
	if r.NetEffect != nil {
		v.Net, v.NetEffect = sourceText(r.Net), r.NetEffect
	}
	for _, h := range r.Guarded {
		v.Guarded = append(v.Guarded, guardView{sourceText(h.Prefix), h.Kind})
	}
	for _, c := range s.Open {
		v.Seen.Open = append(v.Seen.Open, openView{Service: c.Service, Client: c.Client.String(), Since: c.Since, Proven: c.Proven, Line: c.Line})
	}
	return v
}
