package formats

import (
	"errors"
	"strings"
	"testing"

	"overstay/connlog"
)

func TestLayouts(t *testing.T) {
	tests := []struct{ name, layout, line, want string }{
		{"nginx", `$remote_addr:$remote_port - $remote_user [$time_local] "$request" $status $bytes_sent "$http_user_agent" rt=$request_time`,
			`192.0.2.7:4711 - anna [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 12 "x\x22 rt=99" rt=0.250`,
			`1123 12:35:15.750 open www #1 192.0.2.7:4711
1123 12:35:16.000 proven www #1 192.0.2.7 request "anna"
1123 12:35:16.000 close www #1 192.0.2.7 held=250ms proven=true fails=0 client
`},
		{"nginx, finer stamp, nobody", `[${msec}] $remote_addr $remote_user "$request" $status`,
			`[1795437316.602] 2001:db8::7 - "" 400`,
			`1123 12:35:16.602 open www #1 2001:db8::7
1123 12:35:16.602 fail www #1 2001:db8::7 command
1123 12:35:16.602 close www #1 2001:db8::7 held=0s proven=false fails=1 server
`},
		{"Apache, microseconds from the beginning", `%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" %D`,
			`www.example.org:443 192.0.2.7 - - [23/Nov/2026:12:35:16 +0000] "POST /slow HTTP/1.1" 408 12 "-" "\" 1" 60000000`,
			`1123 12:35:16.000 open www #1 192.0.2.7
1123 12:36:16.000 close www #1 192.0.2.7 held=1m0s proven=false fails=0 timeout
`},
		{"Apache, milliseconds since 1970", `%{msec}t %a:%{remote}p \"%!200,304{Referer}i\" \"%r\" %s %{ms}T`,
			`1795437316602 192.0.2.7:4711 "-" "GET / HTTP/1.1" 200 398`,
			`1123 12:35:16.602 open www #1 192.0.2.7:4711
1123 12:35:17.000 proven www #1 192.0.2.7 request
1123 12:35:17.000 close www #1 192.0.2.7 held=398ms proven=true fails=0 client
`},
		{"little", `%h %t`, `192.0.2.7 [23/Nov/2026:12:35:16 +0000]`,
			`1123 12:35:16.000 open www #1 192.0.2.7
1123 12:35:16.000 close www #1 192.0.2.7 held=0s proven=false fails=0 client
`},
		{"a user with the shape of the rest", `%h %l %u %t "%r" %>s %b`,
			`192.0.2.7 - x [01/Jan/2001:00:00:00 +0000] \"GET / HTTP/1.1\" 200 1 [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 401 1`,
			``},
		{"a user with a blank and a bracket", `%h %l %u %t "%r" %>s %b`,
			`192.0.2.7 - x [01/Jan/2001:00:00:00 +0000] y [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 401 1`,
			`1123 12:35:16.000 open www #1 192.0.2.7
1123 12:35:16.000 fail www #1 192.0.2.7 login "x [01/Jan/2001:00:00:00 +0000] y"
1123 12:35:16.000 close www #1 192.0.2.7 held=0s proven=false fails=1 client
`},
	}
	for _, tt := range tests {
		f, err := Layout(tt.layout)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var b strings.Builder
		_ = f.NewParser(Options{Now: now()}).Parse([]byte(tt.line), func(e *connlog.Event) { b.WriteString(short(e)) })
		if b.String() != tt.want {
			t.Errorf("%s: got\n%swant\n%s", tt.name, b.String(), tt.want)
		}
	}
}

func TestBadLayouts(t *testing.T) {
	for _, text := range []string{
		"", "no words", "$remote_addr", "[$time_local]", "$remote_addr$time_local", "$remote_addr $remote_addr [$time_local]",
		`$http_x_forwarded_for $remote_addr [$time_local]`, `%{X}i %h %t`, `%u %h %t`, `$request $remote_addr [$msec]`, "%", "${", "%{x}", "$",
	} {
		if f, err := Layout(text); !errors.Is(err, ErrLayout) {
			t.Errorf("%q is taken (%v): %v", text, f.Gives, err)
		}
	}
}

// FuzzLayout reads lines by layouts that were fuzzed as well.
func FuzzLayout(f *testing.F) {
	f.Add(`$remote_addr - $remote_user [$time_local] "$request" $status`, `192.0.2.7 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200`)
	f.Add(`%h %l %u %t "%r" %>s %b %{ms}T`, `192.0.2.7 - - [23/Nov/2026:12:35:16 +0000] "GET / HTTP/1.1" 200 1 7`)
	f.Fuzz(func(t *testing.T, text, line string) {
		format, err := Layout(text)
		if err != nil {
			if !errors.Is(err, ErrLayout) {
				t.Fatal(err)
			}
			return
		}
		n := 0
		err = format.NewParser(Options{Now: now()}).Parse([]byte(line), func(e *connlog.Event) {
			n++
			if !e.ClientIP.IsValid() || e.Time.IsZero() {
				t.Fatalf("%+v", e)
			}
		})
		if (err == nil) != (n > 0) {
			t.Fatalf("%d events, %v", n, err)
		}
	})
}

// TestLayoutOutOfTheConfiguration takes the text of a layout as it stands in
// the file of the server.
func TestLayoutOutOfTheConfiguration(t *testing.T) {
	for given, want := range map[string]string{
		`$remote_addr [$time_local]`: `$remote_addr [$time_local]`,
		`%h %t \"%r\"`:               `%h %t "%r"`,
		"log_format main  '$remote_addr [$time_local] '\n    '\"$request\" $status';\n": `$remote_addr [$time_local] "$request" $status`,
		`log_format j escape=json '{"a":"$remote_addr",' "\"t\":\"$time_iso8601\"}"`:    `{"a":"$remote_addr","t":"$time_iso8601"}`,
		`log_format bare $remote_addr[$time_local];`:                                    `$remote_addr[$time_local]`,
		"  LogFormat \"%h %t \\\"%r\\\" %D\" timed":                                     `%h %t "%r" %D`,
		`logformat "%h %t" x`: `%h %t`,
		`log_format`:          ``,
		`log_format x '`:      ``,
	} {
		if got := layoutText(given); got != want {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}
