package main

import (
	"fmt"
	"path/filepath"

	"overstay/banlist"
	"overstay/detector"
	"overstay/internal/app"
	"overstay/internal/traffic"
)

// Everything that serve and detect say while they run.

// serving says where everything is.
func (u *ui) serving(r app.Running) {
	if u.json {
		services := make([]map[string]any, 0, len(r.Services))
		for _, s := range r.Services {
			services = append(services, map[string]any{"service": s.Name, "listen": s.Listen, "threads": s.Threads, "pool": s.Pool})
		}
		_ = u.printLine(map[string]any{
			"services": services, "log": r.Config.Path(r.Config.Log.Path), "list": r.Config.Path(r.Config.List.Path), "bans": r.Bans,
		})
		return
	}
	for _, s := range r.Services {
		u.print("%-9s %s  (%d threads)", s.Name, s.Listen, s.Threads)
	}
	u.print("%-9s %s", "log", r.Config.Path(r.Config.Log.Path))
	u.print("%-9s %s  (%d bans in force)", "list", r.Config.Path(r.Config.List.Path), r.Bans)
	u.print("%-9s %s", "detector", detectorText(r.Config))
	if r.SelfSigned != "" {
		u.print("%-9s made for itself, which clients will not trust: %s", "tls", r.SelfSigned)
	}
	if r.Password != "" {
		u.print("%-9s made for you; the password is in %s", "user", r.Password)
	}
}

func detectorText(cfg *app.Config) string {
	n := len(cfg.ActivePolicies())
	switch {
	case !cfg.Detector.Enabled:
		return "off (overstay detect runs one beside this server)"
	case n == 0:
		return "ranks, and decides nothing: there is no policy"
	case cfg.Detector.Action == "suggest":
		return count(n, "policy", "policies") + ", suggestions only (overstay review list)"
	default:
		return count(n, "policy", "policies")
	}
}

// reloaded says what a hangup led to.
func (u *ui) reloaded(r app.Reloaded) {
	if r.Err != nil {
		u.say("The configuration is not reloaded, the old one stays: %v", r.Err)
		return
	}
	u.say("The configuration is reloaded.")
	for _, one := range r.Restart {
		u.say("It waits for a restart: %s", one)
	}
}

func (u *ui) detecting(path string, cfg *app.Config) {
	list := cfg.Path(cfg.List.Path)
	if abs, err := filepath.Abs(list); err == nil {
		list = abs
	}
	enabled := *cfg
	enabled.Detector.Enabled = true
	u.say("Following %s, list %s, %s", path, list, detectorText(&enabled))
}

func (u *ui) live(s detector.Stats) {
	u.say("The log has been read to its end: %s, %s open.",
		count(s.Lines, "line", "lines"), count(s.Conns, "connection", "connections"))
}

// decided tells a decision at the moment it is made, one line each.
func (u *ui) decided(d app.Decided) {
	if u.json {
		_ = u.printLine(map[string]any{
			"id": d.Decision.ID, "policy": d.Decision.Policy, "action": d.Decision.Action, "source": d.Decision.Source,
			"at": d.Decision.At, "outcome": d.Result.Outcome, "expires": d.Result.Ban.Expires, "evidence": d.Decision.Evidence,
		})
		return
	}
	word := map[banlist.Outcome]string{
		banlist.Banned: "banned", banlist.Activated: "banned", banlist.Extended: "extended", banlist.Waiting: "suggested",
	}[d.Result.Outcome]
	u.print("%s  %-9s %s  %s  %s: %s", whenText(d.Decision.At), word, sourceText(d.Decision.Source),
		lengthText(d.Decision.Duration), d.Decision.Policy, holding(d.Decision.Evidence))
}

func (u *ui) stopped() { u.say("Stopped in order.") }

func (u *ui) act(policies bool) {
	if u.json {
		return
	}
	if !policies {
		u.print("First without a policy. 48 ordinary clients, 40 of them behind one address; from second 4 on,")
		u.print("%d addresses want %d connections each, of a server with 100 threads.", demoAttackers, demoConnections)
	} else {
		u.print("")
		u.print("The same again, with the default policies.")
	}
	u.print("second   clients served   told Too Busy   held by attackers   banned")
}

func (u *ui) demoSecond(second int, groups []traffic.Second, decided int) {
	if u.json {
		return
	}
	clients := traffic.Second{}
	held := 0
	for _, s := range groups[:2] {
		for i, n := range s.Outcomes {
			clients.Outcomes[i] += n
		}
	}
	held = groups[2].Held
	u.print("%6d   %14s   %13d   %17d   %6d", second+1,
		fmt.Sprintf("%d of %d", clients.Outcomes[traffic.Done], clients.Ended()), clients.Outcomes[traffic.Busy], held, decided)
}

// curtain sums the demonstration up.
func (u *ui) curtain(acts []actView) error {
	if u.json {
		return u.printJSON(acts)
	}
	u.print("")
	for _, a := range acts {
		name := "without a policy:"
		if a.Policies {
			name = "with the policies:"
		}
		u.print("%-19s %.1f %% of %d clients served, %.1f %% in the last third; %d sources banned",
			name, 100*a.Success, a.Attempts, 100*a.LastThird, a.Decisions)
	}
	return nil
}
