package connlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var equalEvents = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

// compareWithReference fails unless p and the reference agree on a line.
func compareWithReference(t *testing.T, p *Parser, line []byte) {
	t.Helper()
	var got Event
	before := bytes.Clone(line)
	err := p.Parse(line, &got)
	if !bytes.Equal(before, line) {
		t.Fatalf("Parse changed its line %q", before)
	}
	want, wantErr := reference(line)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Parse(%q) = %v, want %v", line, err, wantErr)
	}
	if err != nil {
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Fatalf("Parse(%q) = %T", line, err)
		}
		return
	}
	if diff := cmp.Diff(want, got, equalEvents); diff != "" {
		t.Fatalf("Parse(%q): %s", line, diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range hostileLines() {
		f.Add([]byte(line))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		e := randomEvent(rng)
		f.Add(Append(nil, &e))
	}
	var p Parser
	f.Fuzz(func(t *testing.T, line []byte) {
		compareWithReference(t, &p, line)
		compareWithReference(t, new(Parser), line)
	})
}

// head is a valid beginning of a line.
const head = `{"time":"2026-11-23T14:21:48.123456Z","event":"open","boot":"b0","seq":7`

func hostileLines() []string {
	lines := []string{
		"", " ", "{}", "[]", "null", "1", `"x"`, "{", "}", `{"time"`, "\x00", "\xff\xfe",
		head + "}", head + "} ", " " + head + "}\r", head, head + "}}", head + ",}", head + "}{}", head[:40],
		`{"event":"close","time":"2026-11-23T14:21:48Z"}`,
		`{"time":"2026-11-23T14:21:48.123456Z","event":"nova","conn":"text","seq":3,"boot":"x"}`,
		`{"conn":"text","time":"2026-11-23T14:21:48.123456Z","event":"open"}`,
		`{"time":null,"event":"open"}`, `{"time":"2026-11-23T14:21:48Z","event":null}`,
		`{"time":"2026-11-23T14:21:48Z","event":"open","event":"beat","conn":1,"conn":null}`,
		`{"Time":"2026-11-23T14:21:48Z","event":"open"}`,
		`{"tim\u0065":"2026-11-23T14:21:48Z","event":"op\u0065n","boot":"b\\"}`,
		`{"":1,"time":"2026-11-23T14:21:48Z","event":"stop","":[{}]}`,
		head + `,"deep":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + "}",
		head + `,"deep":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + "}",
		head + `,"deep":` + strings.Repeat(`{"a":`, 63) + "1" + strings.Repeat("}", 63) + "}",
		head + `,"deep":` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64) + "}",
		head + `,"deep":` + strings.Repeat("[", 100000) + "}",
		head + `,"services":` + "[" + strings.Repeat("{},", 1023) + "{}]}",
		head + `,"services":` + "[" + strings.Repeat("{},", 1024) + "{}]}",
		head + `,"x":[1,{"a":[true,false,null,-0.5e+10]},"\ud800\udc00"]}`,
		head + `,"x":[1}}`, head + `,"x":{"a":1]}`, head + `,"x":[,1]}`, head + `,"x":[1,]}`, head + `,"x":{"a"}}`,
	}
	for key, values := range map[string][]string{
		"conn":        {"0", "00", "01", "-1", "-0", "1.0", "1e3", "18446744073709551615", "18446744073709551616", "99999999999999999999", `"1"`, "null", "nul", "true", "{}", "1 "},
		"seq":         {"18446744073709551610", "18446744073709551620", "1844674407370955161", "[]"},
		"client_port": {"65535", "65536", "4294967296"},
		"busy":        {"9223372036854775807", "9223372036854775808", "-5"},
		"held_us":     {"9223372036854775", "9223372036854776", "1"},
		"proven":      {"true", "false", "null", "tru", "1", `"true"`},
		"client_ip": {`"192.0.2.1"`, `"::ffff:192.0.2.1"`, `"2001:db8::1"`, `"fe80::1%eth0"`, `"fe80::1%\"\n"`, `"192.0.2.256"`, `"192.0.2"`, `"192.0.02.1"`,
			`"192.0.2.1.5"`, `".192.0.2"`, `"192.0.2."`, `"192..2.1"`, `"0.0.0.0"`, `""`, "null", "1", `"192.0.2.1 "`, `"\u0031.2.3.4"`},
		"user": {`"x"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\x"`, `"\u12"`, `"\u12G4"`, `"é"`, "\"\xff\"", "\"\xed\xa0\x80\"", "\"\n\"", `"\"`, `"a\/\b\f\n\r\t\"\\"`,
			`"a longer text that has room for words of eight"`, "\"a longer text with\x1fa control\"", "\"a longer \xe2\x80\xa8 text\"", `"\u0000"`},
		"stages_us": {`{}`, `{"greeting":1,"idle":2}`, `{"greeting":1,"greeting":2}`, `{"greeting":null}`, `{"x":{"y":1}}`, `{"greeting":-1}`, "null", "[]", `{"greeting":9223372036854776}`, `{"greeting":1,}`},
		"services":  {`[]`, `[{}]`, `[null]`, `[1]`, `[{"service":"smtp","pool":"mail","listen":":25","threads":100,"x":[]}]`, `[{"service":1}]`, `{}`, "null", `[{}{}]`, `[{"busy":-1}]`, `[{},]`},
		"time": {`"2026-02-29T00:00:00Z"`, `"2024-02-29T00:00:00Z"`, `"1900-02-29T00:00:00.000000Z"`, `"2000-02-29T00:00:00.000000Z"`, `"2026-11-23T24:00:00.000000Z"`, `"2026-11-23T23:59:60.000000Z"`,
			`"2026-13-23T23:59:00.000000Z"`, `"2026-00-23T23:59:00.000000Z"`, `"2026-11-31T23:59:00.000000Z"`, `"2026-11-00T23:59:00.000000Z"`, `"2026-11-23T14:60:48.123456Z"`, `"2026-11-23T14:21:4:.123456Z"`, `"2026-11-23T14:21:48.12345xZ"`, `"2026-11-23t14:21:48.123456Z"`,
			`"2026-11-23T14:21:48+01:30"`, `"2026-11-23T14:21:48.1234567891-08:00"`, `"2026-11-23T14:21:48,5Z"`, `"0000-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:59-23:59"`, `"0000-01-01T00:00:00.000000Z"`, `"0000-02-29T00:00:00.000001Z"`, `"9999-12-31T23:59:59.999999Z"`, `"2026-11-23T4:21:48Z"`, "5", `""`},
	} {
		for _, v := range values {
			lines = append(lines, head+`,"`+key+`":`+v+"}", head+`,"z":0,"`+key+`" : `+v+" }")
		}
	}
	return lines
}

func TestParseAgreesWithReference(t *testing.T) {
	var p Parser
	for _, line := range hostileLines() {
		compareWithReference(t, &p, []byte(line))
	}
	rng := seeded(t)
	for range unraced(5000) {
		e := randomEvent(rng)
		line := Append(nil, &e)
		for range rng.IntN(3) { // some damage
			if i := rng.IntN(len(line)); rng.IntN(2) == 0 {
				line[i] = "\"\\{}[],:0159.eE-+tfn \x00\xff"[rng.IntN(23)]
			} else {
				line = slices.Delete(line, i, min(len(line), i+1+rng.IntN(5)))
			}
			if len(line) == 0 {
				break
			}
		}
		compareWithReference(t, &p, line)
	}
}

func TestAppendThenParse(t *testing.T) {
	rng := seeded(t)
	var p Parser
	var got Event
	for range unraced(4000) {
		want := randomEvent(rng)
		line := Append(nil, &want)
		if !json.Valid(line) {
			t.Fatalf("no JSON: %s", line)
		}
		if bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("more than a line: %q", line)
		}
		if err := p.Parse(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if diff := cmp.Diff(want, got, equalEvents); diff != "" {
			t.Fatalf("%s: %s", line, diff)
		}
		if !p.native(line, &got) && want.User == "" && want.ClientIP.Zone() == "" {
			t.Fatalf("not parsed as native: %s", line)
		}
		if again := Append(nil, &got); !bytes.Equal(line, again) {
			t.Fatalf("%s became %s", line, again)
		}
	}
}

func TestAppendOrder(t *testing.T) {
	rng := seeded(t)
	for range 1000 {
		e := randomEvent(rng)
		members, err := membersOf(Append(nil, &e))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"time", "event", "boot", "seq"}
		for _, k := range nativeKeys(e.Kind) {
			want = append(want, strings.Trim(k.text, `,":`))
		}
		at := 0
		for _, m := range members {
			i := slices.Index(want[at:], m.key)
			if i < 0 {
				t.Fatalf("%s out of order in %s", m.key, Append(nil, &e))
			}
			at += i + 1
		}
	}
}

// TestAppendString holds the escapes to those of encoding/json.
func TestAppendString(t *testing.T) {
	rng := seeded(t)
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	for range 20000 {
		b := make([]byte, rng.IntN(30))
		for i := range b {
			b[i] = "\x00\x01\x1f\"\\/<>&a \x7f\x80\xbf\xc2\xe2\xa8\xa9\xed\xa0\xf0\x9f\xff\b\f\n\r\t"[rng.IntN(28)]
		}
		want.Reset()
		if err := enc.Encode(string(b)); err != nil {
			t.Fatal(err)
		}
		if got := string(appendString(nil, string(b))) + "\n"; got != want.String() {
			t.Fatalf("%q is written %s, want %s", b, got, want.String())
		}
	}
}

func TestTimestamps(t *testing.T) {
	rng := seeded(t)
	var c clock
	for range 50000 {
		at := time.Unix(minSecond+rng.Int64N(maxSecond-minSecond+1), rng.Int64N(1e9)).UTC()
		text := appendTime(nil, at)
		if want := at.Format("2006-01-02T15:04:05.000000Z"); string(text) != want {
			t.Fatalf("%v is written %s", at, text)
		}
		if back, ok := c.written(text); !ok || back != at.Truncate(time.Microsecond) {
			t.Fatalf("%s is read %v, %v", text, back, ok)
		}
	}
	for _, far := range []time.Time{time.Unix(minSecond-1, 0), time.Unix(maxSecond+1, 0), time.Unix(math.MaxInt64, 0)} {
		if _, ok := c.read(appendTime(nil, far)); !ok {
			t.Errorf("%v is written %s", far, appendTime(nil, far))
		}
	}
}

// TestParseKeepsOldStrings fails when an event holds on to the line's bytes.
func TestParseKeepsOldStrings(t *testing.T) {
	var p Parser
	var e Event
	line := []byte(head + `,"service":"smtp","user":"` + strings.Repeat("u", 200) + `","client_ip":"fe80::1%eth0"}`)
	if err := p.Parse(line, &e); err != nil {
		t.Fatal(err)
	}
	for i := range line {
		line[i] = 'x'
	}
	if e.Boot != "b0" || e.Service != "smtp" || e.User != strings.Repeat("u", 200) || e.ClientIP.Zone() != "eth0" {
		t.Errorf("%+v", e)
	}
}

// TestInternerIsBounded floods a parser with names that never come again.
func TestInternerIsBounded(t *testing.T) {
	var p Parser
	var e Event
	for i := range 3 * maxInterned {
		line := fmt.Appendf(nil, `%s,"user":"user%d","service":"smtp"}`, head, i)
		if err := p.Parse(line, &e); err != nil || e.User != fmt.Sprintf("user%d", i) || e.Service != "smtp" {
			t.Fatal(err, e)
		}
	}
	if n := len(p.users.known); n > maxInterned {
		t.Errorf("%d users are kept", n)
	}
	if n := len(p.names.known); n > 2 {
		t.Errorf("%d names are kept", n)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var p Parser
	var e Event
	buf := make([]byte, 0, 4096)
	rng := seeded(t)
	for k := Start; k <= Stop; k++ {
		event := randomEvent(rng)
		for event.Kind != k || event.ClientIP.Zone() != "" {
			event = randomEvent(rng)
		}
		line := Append(nil, &event)
		if n := testing.AllocsPerRun(100, func() { buf = Append(buf[:0], &event) }); n > 0 {
			t.Errorf("Append of %s: %v allocations", k, n)
		}
		if n := testing.AllocsPerRun(100, func() { _ = p.Parse(line, &e) }); n > 0 {
			t.Errorf("Parse of %s: %v allocations", line, n)
		}
		line = append(append([]byte(`{ "z" : [1, {"a":"b"}], `), line[1:]...), ' ')
		if n := testing.AllocsPerRun(100, func() { _ = p.Parse(line, &e) }); n > 0 {
			t.Errorf("Parse of %s: %v allocations", line, n)
		}
	}
}
