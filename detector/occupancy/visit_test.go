package occupancy_test

import (
	"bytes"
	"reflect"
	"testing"

	"overstay/connlog"
	"overstay/connlog/formats"
	"overstay/detector/occupancy"
)

// TestVisits notes a connection down as a visit, and as its events: what comes
// of it is the same, in an order that holds all and in one that is too small.
func TestVisits(t *testing.T) {
	for _, name := range []string{"haproxy", "nginx-time", "postfix"} {
		text := foreignLog(name, 1<<20)
		for i, code := range []string{" 200 ", " 400 ", " 401 ", " 503 "} { // Some fail, some prove nothing.
			text = bytes.Replace(text, []byte("css?v=1032 HTTP/1.1\" 200 "), []byte("css?v=1032 HTTP/1.1\""+code), 100*i)
		}
		for _, waiting := range []int{0, 100} {
			var reports [2]*occupancy.Report
			var late, events [2]uint64
			for as := range reports {
				f, _ := formats.ByName(name)
				p := f.NewParser(formats.Options{Year: 2026})
				fold := occupancy.New(occupancy.Options{Clock: f.Gives.Clock})
				order := occupancy.NewOrder(waiting, fold.Take)
				var notes occupancy.Notes
				visit := func(v *connlog.Visit) { notes.Visit(v, false) }
				if as == 1 {
					visit = nil
				}
				for line := range bytes.Lines(text) {
					_ = p.Visits(line, notes.Observe, visit) // Some tell nothing.
					order.Add(&notes)
					events[as] += notes.Events()
					notes.Reset()
				}
				order.Flush()
				reports[as], late[as] = fold.Report(occupancy.ByThreadTime, 0), order.Late()
			}
			if waiting > 0 && name != "postfix" && late[0] == 0 {
				t.Errorf("%s: nothing was late", name)
			}
			if events[0] != events[1] || waiting == 0 && !reflect.DeepEqual(reports[0], reports[1]) {
				t.Errorf("%s: %d events as visits, %d as events; reports %+v and %+v", name, events[0], events[1], reports[0], reports[1])
			}
			if reports[0].Connections != reports[1].Connections {
				t.Errorf("%s, %d wait: %d connections as visits, %d as events", name, waiting, reports[0].Connections, reports[1].Connections)
			}
		}
	}
}
