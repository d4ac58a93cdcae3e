package main

import (
	"time"

	"overstay/detector"
	"overstay/detector/loss"
	"overstay/internal/app"
)

// What analyze and policy diff say of decisions, as JSON.

// decisionView is a decision as JSON, the same everywhere.
type decisionView struct {
	ID       string            `json:"id"`
	Policy   string            `json:"policy"`
	Action   detector.Action   `json:"action"`
	Source   string            `json:"source"`
	Services []string          `json:"services,omitempty"`
	At       time.Time         `json:"at"`
	Seconds  float64           `json:"duration_s"`
	Evidence detector.Evidence `json:"evidence"`
}

func viewDecision(d *detector.Decision) decisionView {
	return decisionView{
		ID: d.ID, Policy: d.Policy, Action: d.Action, Source: sourceText(d.Source), Services: d.Services,
		At: d.At, Seconds: d.Duration.Seconds(), Evidence: d.Evidence,
	}
}

func viewDecisions(all []detector.Decision) []decisionView {
	views := make([]decisionView, 0, len(all))
	for i := range all {
		views = append(views, viewDecision(&all[i]))
	}
	return views
}

type unmatchedView struct {
	decisionView
	Within string `json:"within,omitempty"` // the net that the other set bans
}

type changedView struct {
	What []string     `json:"what"`
	Old  decisionView `json:"old"`
	New  decisionView `json:"new"`
}

type poolDiffView struct {
	Pool    string      `json:"pool"`
	Refused uint64      `json:"refused"`
	Old     loss.Spread `json:"averted_old"`
	New     loss.Spread `json:"averted_new"`
}

type diffView struct {
	Log     app.LogsRead    `json:"log"`
	Equal   bool            `json:"equal"`
	Same    int             `json:"same"`
	OnlyOld []unmatchedView `json:"only_old"`
	OnlyNew []unmatchedView `json:"only_new"`
	Changed []changedView   `json:"changed"`
	Pools   []poolDiffView  `json:"pools"`
	Dropped int             `json:"decisions_dropped,omitempty"`
}

func viewDiff(d *app.PolicyDiff) diffView {
	v := diffView{
		Log: d.Read, Equal: d.Equal(), Same: d.Same, OnlyOld: viewUnmatched(d.OnlyOld), OnlyNew: viewUnmatched(d.OnlyNew),
		Changed: []changedView{}, Pools: []poolDiffView{}, Dropped: d.Dropped,
	}
	for i := range d.Changed {
		c := &d.Changed[i]
		v.Changed = append(v.Changed, changedView{What: c.What, Old: viewDecision(&c.Old), New: viewDecision(&c.New)})
	}
	for _, p := range d.Pools {
		v.Pools = append(v.Pools, poolDiffView{Pool: p.Pool, Refused: p.Refused, Old: p.Old.Policy.Averted, New: p.New.Policy.Averted})
	}
	return v
}

func viewUnmatched(all []app.Unmatched) []unmatchedView {
	views := make([]unmatchedView, 0, len(all))
	for i := range all {
		v := unmatchedView{decisionView: viewDecision(&all[i].Decision)}
		if net := all[i].Within; net != nil {
			v.Within = sourceText(net.Source)
		}
		views = append(views, v)
	}
	return views
}
