package formats

import (
	"errors"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

func mapped(f Format, lines ...string) string {
	var b strings.Builder
	p := f.NewParser(Options{Now: now()})
	for _, line := range lines {
		if err := p.Parse([]byte(line), func(e *connlog.Event) { b.WriteString(short(e)) }); err != nil && !errors.Is(err, ErrSkip) {
			b.WriteString("! " + err.Error() + "\n")
		}
	}
	return b.String()
}

func TestMapping(t *testing.T) {
	want := `1123 12:35:16.500 open www #1 192.0.2.7
1123 12:35:17.750 proven www #1 192.0.2.7 request "anna, \"x\""
1123 12:35:17.750 close www #1 192.0.2.7 held=1.25s proven=true fails=0 client
`
	m := Mapping{Address: "client.ip", Begin: "at", Duration: "ms", Unit: time.Millisecond, Status: "code", User: "user"}
	f, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if got := mapped(f, `{"at":"2026-11-23T12:35:16.5Z","client":{"ip":"192.0.2.7"},"ms":1250,"code":200,"user":"anna, \"x\"","agent":"198.51.100.66"}`); got != want {
		t.Errorf("JSON: got\n%swant\n%s", got, want)
	}
	m.Address = "ip"
	if f, err = m.CSV(0); err != nil {
		t.Fatal(err)
	}
	got := mapped(f, `at,agent,ip,ms,code,user`, `2026-11-23T12:35:16.5Z,"x"",192.0.2.66,1,200,""y",192.0.2.7,1250,200,"anna, ""x"""`,
		`2026-11-23T12:35:16.5Z,x,192.0.2.7`, `2026-11-23T12:35:16.5Z,"x,192.0.2.7,1,200,`)
	const bad = "! formats: not a line of the format\n"
	if got != want+bad+bad {
		t.Errorf("CSV: got\n%swant\n%s", got, want)
	}
	if got := mapped(f, `at,ip,ip,ms,code`, `1795437316,192.0.2.7,192.0.2.8,1,200`); got != bad {
		t.Errorf("two columns of one name: got %q", got)
	}
	traffic, err := Mapping{Peer: "peer", Begin: "from", End: "to", BytesIn: "in", BytesOut: "out"}.CSV('\t')
	if err != nil {
		t.Fatal(err)
	}
	want = `1123 12:35:16.000 open tcp #1 192.0.2.7:4711
1123 12:35:17.000 proven tcp #1 192.0.2.7 transfer
1123 12:35:17.000 close tcp #1 192.0.2.7 held=1s proven=true fails=0 client
`
	if got := mapped(traffic, "from\tto\tpeer\tin\tout", "1795437316\t1795437317\t192.0.2.7:4711\t1\t2"); got != want {
		t.Errorf("table: got\n%swant\n%s", got, want)
	}
}

func TestBadMappings(t *testing.T) {
	for _, m := range []Mapping{{}, {Address: "a"}, {Begin: "b"}, {Address: "a", Peer: "b", Begin: "c"}, {Address: "a", Begin: "a"}} {
		if _, err := m.JSON(); !errors.Is(err, ErrMapping) {
			t.Errorf("%+v is taken: %v", m, err)
		}
		if _, err := m.CSV(';'); !errors.Is(err, ErrMapping) {
			t.Errorf("%+v is taken for a table: %v", m, err)
		}
	}
	if _, err := (Mapping{Address: "a", Begin: "b"}).CSV('"'); !errors.Is(err, ErrMapping) {
		t.Errorf("a quote is taken for a comma: %v", err)
	}
}

// FuzzTable reads tables, whose first line names the columns.
func FuzzTable(f *testing.F) {
	f.Add("at,ip,ms\n2026-11-23T12:35:16.5Z,192.0.2.7,12\n\"2026-11-23T12:35:16.5Z\",\"192.0.2.7\",\"\"\"\"\n")
	format, err := Mapping{Address: "ip", Begin: "at", Duration: "ms"}.CSV(',')
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := format.NewParser(Options{Now: now()})
		for line := range strings.SplitSeq(text, "\n") {
			n := 0
			err := p.Parse([]byte(line), func(e *connlog.Event) {
				n++
				if !e.ClientIP.IsValid() || e.Time.IsZero() || e.Held < 0 {
					t.Fatalf("%+v of %q", e, line)
				}
			})
			if (err == nil) != (n > 0) {
				t.Fatalf("%d events, %v of %q", n, err, line)
			}
		}
	})
}
