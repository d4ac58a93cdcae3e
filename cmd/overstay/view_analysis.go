package main

import (
	"math"
	"time"

	"overstay/banlist"
	"overstay/connlog/formats"
	"overstay/detector/cause"
	"overstay/detector/loss"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

// analysisView is an analysis as JSON. What the logs cannot tell is null.
type analysisView struct {
	Files         []fileView       `json:"files"`
	From          time.Time        `json:"from"`
	To            time.Time        `json:"to"`
	Connections   uint64           `json:"connections"`
	Orphans       uint64           `json:"orphans"`
	OpenAtEnd     uint64           `json:"open_at_end"`
	Sources       int              `json:"sources"`
	NetCount      int              `json:"net_count"`
	ThreadSeconds *float64         `json:"thread_seconds"`
	Peak          *peakView        `json:"peak"`
	Services      []serviceView    `json:"services"`
	By            occupancy.By     `json:"by"`
	Ranking       []holderView     `json:"ranking"`
	Nets          []holderView     `json:"nets"`
	Full          []fullView       `json:"full"`
	FullDropped   int              `json:"full_dropped,omitempty"`
	Suggestions   []suggestionView `json:"suggestions"`
	Verdict       verdictView      `json:"verdict"`
	Gives         givesView        `json:"gives"`

	Log       app.LogsRead    `json:"log"`
	Policies  []string        `json:"policies"`
	Decisions []decisionView  `json:"decisions"`
	Dropped   int             `json:"decisions_dropped,omitempty"`
	Pools     []*cause.Report `json:"pools"`
	Unaccused []unaccusedView `json:"unaccused"`
	OldBoot   uint64          `json:"lines_of_ended_boots,omitempty"`
}

type fileView struct {
	Name        string `json:"name"`
	Format      string `json:"format"`
	Compression string `json:"compression"`
	Lines       uint64 `json:"lines"`
	Events      uint64 `json:"events"`
	Skipped     uint64 `json:"skipped"`
	Malformed   uint64 `json:"malformed"`
	TooLong     uint64 `json:"too_long,omitempty"`
	Error       string `json:"error,omitempty"`
}

type peakView struct {
	Threads int       `json:"threads"` // that there are, 0 if it is not known
	Low     int       `json:"low"`
	High    int       `json:"high"`
	At      time.Time `json:"at,omitzero"`
}

type serviceView struct {
	Service       string    `json:"service"`
	Pool          string    `json:"pool"`
	Threads       int       `json:"threads"`
	Connections   uint64    `json:"connections"`
	Orphans       uint64    `json:"orphans"`
	OpenAtEnd     uint64    `json:"open_at_end"`
	ThreadSeconds *float64  `json:"thread_seconds"`
	Peak          *peakView `json:"peak"`
	Proven        uint64    `json:"proven"`
	Fails         uint64    `json:"fails"`
	Busy          uint64    `json:"refused_busy"`
	Sessions      uint64    `json:"refused_sessions"`
	Banned        uint64    `json:"refused_banned"`
}

type rangeView struct {
	Low  int `json:"low"`
	High int `json:"high"`
}

type holderView struct {
	Rank          int        `json:"rank"`
	Source        string     `json:"source"`
	Level         string     `json:"level"`
	Members       int        `json:"members,omitempty"`
	Connections   uint64     `json:"connections"`
	ThreadSeconds *float64   `json:"thread_seconds"`
	Share         *float64   `json:"share"`
	Peak          *rangeView `json:"peak"`
	Load          *float64   `json:"load"`
	OpenAtEnd     uint64     `json:"open_at_end"`
	Proven        uint64     `json:"proven"`
	Unproven      *float64   `json:"unproven_thread_seconds"`
	Refused       uint64     `json:"refused"`
	Fails         uint64     `json:"fails"`
	Blame         float64    `json:"blame"`
	First         time.Time  `json:"first"`
	Last          time.Time  `json:"last"`
}

type fullView struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Service string    `json:"service"`
	Refused uint64    `json:"refused"`
}

// suggestionView is whom the policies found. Outcome is what the list made of
// it, empty if it was not asked.
type suggestionView struct {
	Source   string          `json:"source"`
	Policy   string          `json:"policy"`
	Services []string        `json:"services,omitempty"`
	At       time.Time       `json:"at"`
	Seconds  float64         `json:"duration_s"`
	Outcome  banlist.Outcome `json:"outcome,omitempty"`
	Guard    string          `json:"guard,omitempty"` // that keeps it from the list
}

// verdictView is the worst of the pools', or why there is none.
type verdictView struct {
	Verdict *loss.Verdict   `json:"verdict"`
	Pool    string          `json:"pool,omitempty"`
	Attack  bool            `json:"attack"`
	Unknown app.Unexplained `json:"unknown,omitempty"`
	Text    []string        `json:"text"`
}

type givesView struct {
	Opens     bool    `json:"opens"`
	Durations bool    `json:"durations"`
	Outcomes  bool    `json:"outcomes"`
	Refusals  bool    `json:"refusals"`
	Clock     float64 `json:"clock_s"`
	Note      string  `json:"note,omitempty"`
}

func viewGives(g formats.Gives) givesView {
	return givesView{g.Opens, g.Durations, g.Outcomes, g.Refusals, g.Clock.Seconds(), g.Note}
}

func viewAnalysis(a *app.Analysis, suggested []app.Suggested, asked bool) analysisView {
	r, g := a.Occupancy, a.Gives()
	v := analysisView{
		Files: []fileView{}, From: r.From, To: r.To, Connections: r.Connections, Orphans: r.Orphans + a.Read.Orphans, OpenAtEnd: r.OpenAtEnd,
		Sources: r.Sources, NetCount: r.NetCount, ThreadSeconds: told(g.Durations, r.ThreadTime.Seconds()), Peak: viewPeak(g, r.Peak),
		Services: []serviceView{}, By: a.By, Ranking: viewHolders(r.Ranking, levelAddress, g), Nets: viewHolders(r.Nets, levelNet, g),
		Full: []fullView{}, FullDropped: r.FullDropped, Suggestions: viewSuggestions(a, suggested, asked), Verdict: viewVerdict(a), Gives: viewGives(g),
		Log: a.Read, Policies: orEmpty(a.Policies), Decisions: viewDecisions(a.Decisions), Dropped: a.Dropped,
		Pools: orEmpty(a.Pools), Unaccused: viewUnaccused(a.Unaccused), OldBoot: a.Stats.OldBoot,
	}
	for _, f := range a.Read.Each {
		one := fileView{f.Name, f.Format, string(f.Compression), f.Lines, f.Events, f.Skipped, f.Malformed, f.TooLong, ""}
		if f.Err != nil {
			one.Error = f.Err.Error()
		}
		v.Files = append(v.Files, one)
	}
	for _, s := range r.Services {
		v.Services = append(v.Services, serviceView{
			s.Service, s.Pool, s.Threads, s.Connections, s.Orphans, s.OpenAtEnd, told(g.Durations, s.ThreadTime.Seconds()), viewPeak(g, s.Peak),
			s.Proven, s.Fails, s.Busy, s.Sessions, s.Banned,
		})
	}
	for _, f := range r.Full {
		v.Full = append(v.Full, fullView(f))
	}
	return v
}

// told is a number that is known, or nil.
func told(known bool, n float64) *float64 {
	if !known {
		return nil
	}
	n = meant(n)
	return &n
}

// meant is a number without the noise of its sum: to the millionth, as fine as
// the time is that it is made of.
func meant(n float64) float64 { return math.Round(n*1e6) / 1e6 }

func viewPeak(g formats.Gives, p occupancy.Peak) *peakView {
	if !g.Durations {
		return nil
	}
	return &peakView{p.Threads, p.Low, p.High, p.At}
}

func viewHolders(all []occupancy.Holder, level string, g formats.Gives) []holderView {
	views := make([]holderView, 0, len(all))
	for _, h := range all {
		v := holderView{
			Rank: h.Rank, Source: sourceText(h.Source), Level: level, Members: h.Members, Connections: h.Connections,
			ThreadSeconds: told(g.Durations, h.ThreadTime.Seconds()), Share: told(g.Durations, h.Share), Load: told(g.Durations, h.Load),
			OpenAtEnd: h.OpenAtEnd, Proven: h.Proven, Unproven: told(g.Durations && g.Outcomes, h.Unproven.Seconds()),
			Refused: h.Refused, Fails: h.Fails, Blame: meant(h.Blame), First: h.First, Last: h.Last,
		}
		if g.Durations {
			v.Peak = &rangeView{h.Peak.Low, h.Peak.High}
		}
		views = append(views, v)
	}
	return views
}

func viewVerdict(a *app.Analysis) verdictView {
	v := verdictView{Attack: a.Attack(), Unknown: a.Unexplained, Text: []string{}}
	if worst := cause.Worst(a.Pools...); worst != nil {
		verdict := worst.Verdict()
		v.Verdict, v.Pool = &verdict, worst.Pool
	} else if a.Unexplained == app.NoRefusals && a.Gives().Refusals {
		healthy := loss.Healthy
		v.Verdict = &healthy
	}
	if v.Verdict != nil {
		v.Unknown = ""
	}
	for _, one := range answers(a) {
		v.Text = append(v.Text, one.text)
	}
	return v
}

// viewSuggestions are the decisions, or with a list what became of them there.
func viewSuggestions(a *app.Analysis, suggested []app.Suggested, asked bool) []suggestionView {
	if !asked {
		suggested = nil
		for i := range a.Decisions {
			suggested = append(suggested, app.Suggested{Decision: a.Decisions[i]})
		}
	}
	views := []suggestionView{}
	for i := range suggested {
		s := &suggested[i]
		v := suggestionView{
			Source: sourceText(s.Decision.Source), Policy: s.Decision.Policy, Services: s.Decision.Services,
			At: s.Decision.At, Seconds: s.Decision.Duration.Seconds(), Outcome: s.Result.Outcome,
		}
		if s.Guarded != nil {
			v.Guard = string(s.Guarded.Guard)
		}
		views = append(views, v)
	}
	return views
}
