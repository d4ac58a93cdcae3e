package app_test

import (
	"bytes"
	"testing"

	"overstay/internal/app"
)

// FuzzAnalyze reads anything: it says what is wrong with it, or counts every
// line, and no thread time is without a connection.
func FuzzAnalyze(f *testing.F) {
	for _, seed := range []string{
		"",
		"garbage\n\x00\xff\n",
		`{"time":"2026-01-02T03:04:05.000000Z","event":"start","boot":"b","seq":1,"schema":1,"version":"converted opens durations 1s"}` + "\n" +
			`{"time":"2026-01-02T03:04:05.000000Z","event":"open","boot":"b","seq":2,"service":"www","conn":1,"client_ip":"192.0.2.7","busy":1,"threads":2,"line":1}` + "\n",
		`{"time":"2026-01-02T03:04:05.000000Z","event":"start","boot":"b","seq":1,"schema":99}` + "\n",
		`{"time":"2026-01-02T03:04:05.000000Z","event":"start","boot":"b","seq":1,"version":"converted converted -1s"}` + "\n",
		"192.0.2.7:4000 [02/Jan/2026:03:04:05.000] raw t/n2 1/0/99999999999 255 -- 1/1/0/0/0 0/0\n",
		"Jan  2 03:04:05 mx postfix/smtpd[1]: connect from x[192.0.2.7]\nFeb 30 03:04:05 mx postfix/smtpd[1]: disconnect from x[192.0.2.7] quit=1\n",
		`192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 512 "-" "x"` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{
			Logs: app.Logs{Paths: []string{app.FromStdin}, Stdin: bytes.NewReader(log), Format: app.LogFormat{Now: newYear, Threads: app.Threads{Each: 3}}}, Question: few,
		})
		if err != nil { // It is said what is wrong.
			return
		}
		if lines := uint64(bytes.Count(log, []byte("\n"))); a.Read.Each[0].Compression == "plain" && a.Read.Lines != lines && a.Read.Lines != lines+1 {
			t.Errorf("%d lines of %d", a.Read.Lines, lines)
		}
		if r := a.Occupancy; r.Connections == 0 && r.ThreadTime > 0 {
			t.Errorf("%v of no connection", r.ThreadTime)
		}
	})
}
