package app_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"overstay/connlog/bulk"
	"overstay/detector/occupancy"
	"overstay/internal/app"
)

//go:embed testdata/oracle.sql
var oracleSQL string

// TestSQLAgrees adds up made-up logs with SQL, from their lines alone, and wants
// the same of the fold, to the last microsecond, however the log is read: with
// any number of workers, any size of chunk, and cut into any files.
func TestSQLAgrees(t *testing.T) {
	seeds, length, allWorkers := uint64(4), 1200, []int{1, 2, 3, 8}
	if raceOn {
		seeds, length, allWorkers = 1, 500, []int{3} // SQL itself is slow then.
	}
	var seen sqlSeen
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lines := houseLog(seed, length)
			want := askSQL(t, lines)
			seen.add(want)
			rng := rand.New(rand.NewPCG(seed, 5))
			for _, workers := range allWorkers {
				for _, parts := range []int{1, 2, 7} {
					paths := cutLog(t, rng, lines, parts)
					chunk := 200 + rng.IntN(20_000)
					want.compare(t, fmt.Sprintf("seed %d, %d workers, %d files, chunks of %d bytes", seed, workers, parts, chunk), foldInBulk(t, workers, chunk, paths))
					a, err := app.Analyze(t.Context(), app.Default(), app.AnalyzeOptions{Logs: app.Logs{Paths: paths, Workers: workers}, Question: few})
					if err != nil {
						t.Fatal(err)
					}
					want.compare(t, fmt.Sprintf("seed %d, analyze, %d workers, %d files", seed, workers, parts), a.Occupancy)
				}
			}
		})
	}
	if !t.Failed() && !raceOn && !seen.everything() {
		t.Errorf("not much of a log: %+v", seen)
	}
}

// cutLog writes the log into files that may be compressed.
func cutLog(t *testing.T, rng *rand.Rand, lines [][]byte, parts int) []string {
	t.Helper()
	folder, from, paths := t.TempDir(), 0, []string(nil)
	for i := range parts {
		to := len(lines)
		if i < parts-1 {
			to = from + 1 + rng.IntN(2*(len(lines)-from)/(parts-i)-1)
		}
		text, name := bytes.Join(lines[from:to], nil), fmt.Sprintf("%c.log", 'z'-i) // Names are no order.
		from = to
		if i > 0 && !bytes.Contains(text, []byte(`"time":"2026-11-23T`)) {
			t.Fatalf("part %d has no time", i)
		}
		var packed bytes.Buffer
		switch rng.IntN(3) {
		case 0:
			w := gzip.NewWriter(&packed)
			_, err := w.Write(text)
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			text, name = packed.Bytes(), name+".gz"
		case 1:
			w, err := zstd.NewWriter(&packed)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Write(text)
			if err = errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			text = packed.Bytes() // The name does not tell.
		}
		paths = append(paths, filepath.Join(folder, name))
		if err := os.WriteFile(paths[i], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func foldInBulk(t *testing.T, workers, chunk int, paths []string) *occupancy.Report {
	t.Helper()
	fold := occupancy.New(occupancy.Options{})
	r := bulk.NewReader(bulk.Files(paths...), bulk.Options{
		Workers: workers, ChunkBytes: chunk, Digest: func() bulk.Digest { return new(occupancy.Notes) },
	})
	for batch, err := range r.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		fold.Take(batch.Digest.(*occupancy.Notes))
	}
	return fold.Report(occupancy.ByThreadTime, 0)
}

// sqlAnswer is what SQL says.
type sqlAnswer struct {
	whole     sqlWhole
	services  map[string]sqlService
	holders   map[string]map[string]sqlHolder // by scope and name
	stretches []occupancy.Full
}

type sqlWhole struct {
	first, last, connections, orphans, late, openAtEnd, held, peak, peakAt, sources, nets int64
}

type sqlService struct {
	threads, connections, orphans, late, openAtEnd, held, peak, peakAt, fails, busy, sessions, banned int64
}

type sqlHolder struct {
	connections, late, held, unproven, openAtEnd, refused, fails, first, last, members, peak int64
	blame, load                                                                              float64
}

func askSQL(t *testing.T, lines [][]byte) *sqlAnswer {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1) // Each would have a memory of its own.
	exec := func(query string, args ...any) {
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("create table raw (n integer primary key, text text)")
	exec("begin")
	for _, line := range lines {
		exec("insert into raw (text) values (?)", string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	exec("commit")
	exec(oracleSQL)

	a := &sqlAnswer{services: map[string]sqlService{}, holders: map[string]map[string]sqlHolder{"address": {}, "net": {}}}
	w := &a.whole
	scan(t, db, "select * from whole", func() []any {
		return []any{&w.first, &w.last, &w.connections, &w.orphans, &w.late, &w.openAtEnd, &w.held, &w.peak, &w.peakAt, &w.sources, &w.nets}
	}, func() {})
	var name, scope string
	var s sqlService
	scan(t, db, "select * from services", func() []any {
		return []any{&name, &s.threads, &s.connections, &s.orphans, &s.late, &s.openAtEnd, &s.held, &s.peak, &s.peakAt, &s.fails, &s.busy, &s.sessions, &s.banned}
	}, func() { a.services[name] = s })
	var h sqlHolder
	scan(t, db, "select scope, name, connections, late, held, unproven, open_at_end, refused, fails, first, last, members, peak, blame, load from sources", func() []any {
		return []any{&scope, &name, &h.connections, &h.late, &h.held, &h.unproven, &h.openAtEnd, &h.refused, &h.fails, &h.first, &h.last, &h.members, &h.peak, &h.blame, &h.load}
	}, func() { a.holders[scope][name] = h })
	var from, to int64
	var refused uint64
	scan(t, db, "select pool, from_t, to_t, refused from stretches order by from_t, pool, to_t", func() []any { return []any{&name, &from, &to, &refused} }, func() {
		a.stretches = append(a.stretches, occupancy.Full{From: time.UnixMicro(from).UTC(), To: time.UnixMicro(to).UTC(), Service: name, Refused: refused})
	})
	return a
}

// scan reads all rows into what into points to.
func scan(t *testing.T, db *sql.DB, query string, into func() []any, row func()) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(into()...); err != nil {
			t.Fatal(err)
		}
		row()
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// sqlSeen is what there was of what makes a log worth comparing.
type sqlSeen struct {
	connections, orphans, late, openAtEnd, stretches, unproven int64
	blame                                                      float64
}

func (s *sqlSeen) add(a *sqlAnswer) {
	s.connections += a.whole.connections
	s.orphans += a.whole.orphans
	s.late += a.whole.late
	s.openAtEnd += a.whole.openAtEnd
	s.stretches += int64(len(a.stretches))
	for _, h := range a.holders["net"] {
		s.blame += h.blame
		s.unproven += h.held - h.unproven
	}
}

func (s *sqlSeen) everything() bool {
	return s.connections > 300 && s.orphans > 0 && s.late > 0 && s.openAtEnd > 0 && s.stretches > 5 && s.unproven > 0 && s.blame > 10
}

// compare holds a report against SQL's answer.
func (a *sqlAnswer) compare(t *testing.T, what string, r *occupancy.Report) {
	t.Helper()
	w := a.whole
	got := sqlWhole{
		r.From.UnixMicro(), r.To.UnixMicro(), int64(r.Connections), int64(r.Orphans), w.late, int64(r.OpenAtEnd),
		r.ThreadTime.Microseconds(), int64(r.Peak.Low), r.Peak.At.UnixMicro(), int64(r.Sources), int64(r.NetCount),
	}
	if got != w || int64(r.Peak.High) != w.peak+w.late {
		t.Errorf("%s: the whole is %+v, peak up to %d; SQL says %+v", what, got, r.Peak.High, w)
	}
	for _, s := range r.Services {
		want := a.services[s.Service]
		got := sqlService{
			int64(s.Threads), int64(s.Connections), int64(s.Orphans), want.late, int64(s.OpenAtEnd), s.ThreadTime.Microseconds(),
			int64(s.Peak.Low), s.Peak.At.UnixMicro(), int64(s.Fails), int64(s.Busy), int64(s.Sessions), int64(s.Banned),
		}
		if got != want || int64(s.Peak.High) != want.peak+want.late {
			t.Errorf("%s: %s is %+v, peak up to %d; SQL says %+v", what, s.Service, got, s.Peak.High, want)
		}
	}
	if len(r.Services) != len(a.services) {
		t.Errorf("%s: %d services; SQL says %d", what, len(r.Services), len(a.services))
	}
	a.compareHolders(t, what, "address", r.Ranking, r.ThreadTime)
	a.compareHolders(t, what, "net", r.Nets, r.ThreadTime)
	a.compareStretches(t, what, r.Full)
}

func (a *sqlAnswer) compareHolders(t *testing.T, what, scope string, list []occupancy.Holder, all time.Duration) {
	t.Helper()
	var before time.Duration = math.MaxInt64
	for i, h := range list {
		want, ok := a.holders[scope][h.Source.String()]
		got := sqlHolder{
			int64(h.Connections), want.late, h.ThreadTime.Microseconds(), h.Unproven.Microseconds(), int64(h.OpenAtEnd), int64(h.Refused),
			int64(h.Fails), h.First.UnixMicro(), h.Last.UnixMicro(), want.members, int64(h.Peak.Low), want.blame, want.load,
		}
		if scope == "net" {
			got.members = int64(h.Members)
		}
		if !ok || got != want || int64(h.Peak.High) != want.peak+want.late {
			t.Errorf("%s: %v is %+v, peak up to %d; SQL says %+v", what, h.Source, got, h.Peak.High, want)
		}
		for _, f := range []struct {
			name      string
			got, want float64
		}{{"blame", h.Blame, want.blame}, {"load", h.Load, want.load}, {"share", h.Share, float64(want.held) / float64(all.Microseconds())}} {
			if math.Abs(f.got-f.want) > 1e-9*max(math.Abs(f.want), 1) {
				t.Errorf("%s: %s of %v is %v; SQL says %v", what, f.name, h.Source, f.got, f.want)
			}
		}
		if h.Rank != i+1 || h.ThreadTime > before {
			t.Errorf("%s: %v has rank %d in place %d", what, h.Source, h.Rank, i+1)
		}
		before = h.ThreadTime
	}
	if all := a.holders[scope]; len(list) != len(all) && len(list) != min(20, len(all)) {
		t.Errorf("%s: %d of scope %s; SQL says %d", what, len(list), scope, len(all))
	}
}

func (a *sqlAnswer) compareStretches(t *testing.T, what string, list []occupancy.Full) {
	t.Helper()
	for i := range max(len(list), len(a.stretches)) {
		var got, want occupancy.Full
		if i < len(list) {
			got = list[i]
		}
		if i < len(a.stretches) {
			want = a.stretches[i]
		}
		if !got.From.Equal(want.From) || !got.To.Equal(want.To) || got.Service != want.Service || got.Refused != want.Refused {
			t.Errorf("%s: stretch %d is %+v; SQL says %+v", what, i, got, want)
			return
		}
	}
}
