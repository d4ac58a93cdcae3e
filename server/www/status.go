package www

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"overstay/server"
)

//go:embed status.html
var statusText string

var statusPage = template.Must(template.New("status").Parse(statusText))

// statusView is what the status page and its JSON show.
type statusView struct {
	Uptime        string        `json:"-"`
	UptimeSeconds int64         `json:"uptime_s"`
	Stopping      bool          `json:"stopping"`
	Services      []serviceView `json:"services"`
}

type serviceView struct {
	Name            string `json:"service"`
	Listen          string `json:"listen"`
	Pool            string `json:"pool"`
	Threads         int    `json:"threads"`
	Busy            int    `json:"busy"`
	Unproven        int    `json:"unproven"`
	High            int    `json:"-"` // where the meter changes its colour
	Accepted        uint64 `json:"accepted"`
	RefusedBusy     uint64 `json:"refused_busy"`
	RefusedSessions uint64 `json:"refused_sessions"`
	RefusedBanned   uint64 `json:"refused_banned"`
}

func newStatusView(s server.Status, now time.Time) statusView {
	v := statusView{Stopping: s.Stopping, Services: []serviceView{}}
	if !s.Started.IsZero() {
		up := now.Sub(s.Started).Truncate(time.Second)
		v.Uptime, v.UptimeSeconds = up.String(), int64(up/time.Second)
	}
	for _, one := range s.Services {
		v.Services = append(v.Services, serviceView{
			Name:            one.Name,
			Listen:          one.Listen,
			Pool:            one.Pool,
			Threads:         one.Threads,
			Busy:            one.Busy,
			Unproven:        one.Unproven,
			High:            one.Threads * 8 / 10,
			Accepted:        one.Accepted,
			RefusedBusy:     one.Refused.Busy,
			RefusedSessions: one.Refused.Sessions,
			RefusedBanned:   one.Refused.Banned,
		})
	}
	return v
}

func (v statusView) writeJSON(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // The client's loss.
}

func (v statusView) writePage(w http.ResponseWriter) {
	var page bytes.Buffer
	if err := statusPage.Execute(&page, v); err != nil {
		http.Error(w, "The page could not be made", http.StatusInternalServerError)
		return
	}
	lockDown(w.Header())
	_, _ = page.WriteTo(w) // The client's loss.
}
