package formats

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"overstay/connlog"
)

// TestWhatNoServerTook wants connections that held no thread, and lines that
// are no connections to a server, to be skipped, and all others to be told.
func TestWhatNoServerTook(t *testing.T) {
	flow := func(state, flags string) string {
		return fmt.Sprintf(`{"event_type":"flow","src_ip":"192.0.2.23","src_port":4000,"dest_port":80,"proto":"TCP","flow":{"pkts_toserver":9,"pkts_toclient":9,"bytes_toserver":1766,"bytes_toclient":2900,"start":"2026-11-23T12:35:16.5+0000","end":"2026-11-23T12:35:18+0000"},"tcp":{"tcp_flags":"1f","tcp_flags_tc":"%s"%s}}`, flags, state)
	}
	zeekJSON := func(state string) string {
		return `{"ts":1795437316.5,"id.orig_h":"192.0.2.23","id.orig_p":60818,"id.resp_h":"192.0.2.1","id.resp_p":445,"proto":"tcp","duration":3.0,"orig_bytes":7,"resp_bytes":7,"conn_state":"` + state + `"}`
	}
	zeek := func(state string) string {
		return "#fields\tts\tid.orig_h\tid.orig_p\tid.resp_p\tproto\tduration\tconn_state\torig_bytes\tresp_bytes\n1795437316.5\t192.0.2.23\t4000\t25\ttcp\t3.0\t" + state + "\t7\t7"
	}
	vpc := func(end string) string {
		return "2 123456789010 eni-1 203.0.113.9 192.0.2.1 40111 443 6 20 4249 1795437316 1795437376 " + end
	}
	elb := func(status string) string {
		return "2026-11-23T12:35:16.945958Z my-elb 203.0.113.9:40111 - -1 -1 -1 " + status + ` 0 0 0 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -`
	}
	type row struct {
		line string
		told bool
	}
	for format, rows := range map[string][]row{
		"zeek": {
			{zeek("SF"), true}, {zeek("S1"), true}, {zeek("RSTO"), true}, {zeek("RSTR"), true}, {zeek("SHR"), true}, {zeek("RSTRH"), true},
			{zeek("S0"), false}, {zeek("REJ"), false}, {zeek("SH"), false}, {zeek("RSTOS0"), false}, {zeek("OTH"), false},
		},
		"zeek-json": {
			{zeekJSON("SF"), true}, {zeekJSON("S3"), true}, {zeekJSON("RSTRH"), true},
			{zeekJSON("S0"), false}, {zeekJSON("REJ"), false}, {zeekJSON("SH"), false}, {zeekJSON("RSTOS0"), false}, {zeekJSON("OTH"), false},
		},
		"suricata": {
			{flow(`,"state":"closed"`, "1b"), true}, {flow(`,"state":"established"`, "12"), true}, {flow(`,"state":"fin_wait2"`, "5A"), true},
			{flow(`,"state":"syn_sent"`, "00"), false}, {flow(`,"state":"syn_recv"`, "12"), false}, {flow(`,"state":"closed"`, "14"), false}, {flow("", "00"), false}, {flow(`,"state":"established"`, "18"), false},
		},
		"aws-vpc": {
			{vpc("ACCEPT OK"), true},
			{vpc("REJECT OK"), false}, {"2 123456789010 eni-1 - - - - - - - 1795437316 1795437376 - NODATA", false},
		},
		"aws-elb": {{elb("503"), true}, {elb("504"), true}, {elb("-"), true}},
	} {
		f, ok := ByName(format)
		if !ok {
			t.Fatalf("no format %s", format)
		}
		for _, one := range rows {
			p, events := f.NewParser(Options{Now: now()}), 0
			var err error
			for line := range strings.SplitSeq(one.line, "\n") {
				err = p.Parse([]byte(line), func(*connlog.Event) { events++ })
			}
			if one.told != (err == nil && events > 0) || !one.told && !errors.Is(err, ErrSkip) {
				t.Errorf("%s: %v, %d events: %s", format, err, events, one.line)
			}
		}
	}
}

// TestSuricataProofs wants proof to be data both ways, and not the packets that
// set a connection up and end it.
func TestSuricataProofs(t *testing.T) {
	for _, c := range []struct {
		what, app              string
		to, toBytes, from, out int
		proven                 bool
	}{
		{"a handshake and an end", "", 4, 74 + 3*66, 2, 74 + 66, false},
		{"the same without stamps", "", 4, 62 + 3*60, 2, 62 + 54, false},
		{"a greeting that nobody answers", "smtp", 4, 74 + 3*66, 4, 74 + 3*66 + 320, false},
		{"a question that nobody answers", "http", 4, 74 + 3*66 + 400, 3, 74 + 2*66, false},
		{"a question and an answer", "", 6, 74 + 5*66 + 100, 5, 74 + 4*66 + 900, true},
		{"a long answer, acknowledged without stamps", "", 500, 62 + 499*54 + 80, 1000, 62 + 999*54 + 1_000_000, true},
		{"a web page, in small packets", "http", 20, 62 + 19*54 + 78, 20, 62 + 19*54 + 1500, true},
	} {
		f, _ := ByName("suricata")
		line := fmt.Sprintf(`{"event_type":"flow","src_ip":"192.0.2.23","src_port":4000,"dest_port":80,"proto":"TCP","app_proto":"%s","flow":{"pkts_toserver":%d,"pkts_toclient":%d,"bytes_toserver":%d,"bytes_toclient":%d,"start":"2026-11-23T12:35:16.5+0000","end":"2026-11-23T12:35:18+0000"},"tcp":{"tcp_flags_tc":"1b","state":"closed"}}`,
			c.app, c.to, c.from, c.toBytes, c.out)
		for _, ip := range []string{"192.0.2.23", "2001:db8::9"} {
			more := 0
			if ip != "192.0.2.23" {
				more = int(moreBytes6)
			}
			line := strings.NewReplacer("192.0.2.23", ip, fmt.Sprintf(`server":%d,"bytes_toclient":%d`, c.toBytes, c.out),
				fmt.Sprintf(`server":%d,"bytes_toclient":%d`, c.toBytes+more*c.to, c.out+more*c.from)).Replace(line)
			proven := false
			if err := f.NewParser(Options{}).Parse([]byte(line), func(e *connlog.Event) { proven = proven || e.Kind == connlog.Proven }); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			if proven != c.proven {
				t.Errorf("%s (%s): proven %t, want %t", c.what, ip, proven, c.proven)
			}
		}
	}
}
