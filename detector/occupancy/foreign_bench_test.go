package occupancy_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
	"overstay/detector/occupancy"
)

// foreignLog is a log of another server, of many clients over some hours.
func foreignLog(name string, size int) []byte {
	rng := rand.New(rand.NewPCG(2, 2))
	zipf := rand.NewZipf(rng, 1.2, 8, 100_000)
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	var out strings.Builder
	for i := 0; out.Len() < size; i++ {
		now = now.Add(time.Duration(rng.ExpFloat64()*5) * time.Millisecond)
		n := zipf.Uint64()
		ip := fmt.Sprintf("198.%d.%d.%d", 18+n>>16, n>>8&255, n&255)
		took := rng.IntN(900)
		switch name {
		case "haproxy":
			fmt.Fprintf(&out, "%s lb1 haproxy[1697]: %s:%d [%s] web~ app/server-%d 0/0/1/12/%d 200 20318 - - ---- 121/121/12/3/0 0/0 \"GET /static/app/main.css?v=1032 HTTP/1.1\"\n",
				now.Format("Jan _2 15:04:05"), ip, 20000+i%40000, now.Add(-time.Duration(took)*time.Millisecond).Format("02/Jan/2006:15:04:05.000"), i%7, took)
		case "nginx-time":
			fmt.Fprintf(&out, "%s - - [%s] \"GET /static/app/main.css?v=1032 HTTP/1.1\" 200 20318 \"https://www.example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0\" 0.%03d\n",
				ip, now.Format("02/Jan/2006:15:04:05 -0700"), took)
		case "postfix":
			head, pid := now.Format("Jan _2 15:04:05")+" mx1 postfix/", 1000+i%50
			fmt.Fprintf(&out, "%ssmtpd[%d]: connect from mail.example.org[%s]\n", head, pid, ip)
			fmt.Fprintf(&out, "%ssmtpd[%d]: A1B2C%d: client=mail.example.org[%s]\n", head, pid, i, ip)
			fmt.Fprintf(&out, "%scleanup[2049]: A1B2C%d: message-id=<20261123123516.012345@mail.example.org>\n", head, i)
			fmt.Fprintf(&out, "%sqmgr[2838]: A1B2C%d: from=<a@example.org>, size=3994, nrcpt=1 (queue active)\n", head, i)
			fmt.Fprintf(&out, "%ssmtpd[%d]: disconnect from mail.example.org[%s] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n", head, pid, ip)
			fmt.Fprintf(&out, "%slmtp[17053]: A1B2C%d: to=<b@example.net>, relay=mx1[private/dovecot-lmtp], delay=0.03, delays=0.02/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n", head, i)
			fmt.Fprintf(&out, "%sqmgr[2838]: A1B2C%d: removed\n", head, i)
		}
	}
	return []byte(out.String())
}

// visits are notes of connections and events.
type visits struct{ occupancy.Notes }

func (v *visits) Visit(one *connlog.Visit) { v.Notes.Visit(one, false) }

// BenchmarkForeign reads logs of other servers and computes everything.
func BenchmarkForeign(b *testing.B) {
	for _, name := range []string{"haproxy", "nginx-time", "postfix"} {
		b.Run(name, func(b *testing.B) {
			text := foreignLog(name, 48<<20)
			lines := bytes.Count(text, []byte("\n"))
			f, ok := formats.ByName(name)
			if !ok {
				b.Fatal("no such format")
			}
			o := formats.Options{Year: 2026}
			format := bulk.Format{
				Name: name, InOrder: !f.Alone(), New: func() bulk.Parser { return f.NewParser(o) },
				Skips: func(err error) bool { return errors.Is(err, formats.ErrSkip) },
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var best [3]time.Duration
			keep := func(i int, begun time.Duration) {
				if took := cpuTime(b) - begun; best[i] == 0 || took < best[i] {
					best[i] = took
				}
			}
			p := f.NewParser(o)
			for b.Loop() {
				begun := cpuTime(b)
				events := 0
				for line := range bytes.Lines(text) {
					_ = p.Parse(line, func(*connlog.Event) { events++ }) // Some tell nothing.
				}
				keep(0, begun)
				begun = cpuTime(b)
				fold := occupancy.New(occupancy.Options{Clock: f.Gives.Clock})
				order := occupancy.NewOrder(0, fold.Take)
				r := bulk.NewReader([]bulk.Input{{Name: name, From: bytes.NewReader(text)}}, bulk.Options{
					Format: func(string, []byte) (bulk.Format, error) { return format, nil },
					Digest: func() bulk.Digest { return new(visits) },
				})
				for batch, err := range r.Batches(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					order.Add(&batch.Digest.(*visits).Notes)
				}
				order.Flush()
				keep(1, begun)
				if got := fold.Report(occupancy.ByThreadTime, 10); got.Connections == 0 || r.Files()[0].Malformed > 0 {
					b.Fatalf("%d connections, %+v", got.Connections, r.Files()[0])
				}
				b.ReportMetric(float64(events)/float64(lines), "events/line")
			}
			b.ReportMetric(float64(best[0])/float64(lines), "parse-ns/line")
			b.ReportMetric(float64(best[1])/float64(lines), "all-ns/line")
			b.ReportMetric(2*float64(len(text))/1e6/best[1].Seconds(), "MB/s-of-two-cores")
			b.ReportMetric(0, "ns/op")
		})
	}
}
