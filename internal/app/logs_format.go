package app

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"overstay/connlog"
	"overstay/connlog/bulk"
	"overstay/connlog/formats"
)

// LogFormat says how logs are written. Of the zero value their content tells,
// each file's its own.
type LogFormat struct {
	// Name is that of one of formats.All, or "csv" or "json" with a Mapping;
	// empty or "auto": by content.
	Name string
	// Layout is a web server's own: nginx's log_format, or Apache's LogFormat.
	Layout string
	// Mapping of the columns of "csv", the keys of "json".
	Mapping formats.Mapping
	Comma   byte // of "csv", between columns; a comma if zero
	// Location of stamps without a zone; UTC if nil.
	Location *time.Location
	// Year of the first stamp without one. If zero, each is the latest that is
	// not after Now, which is the present if zero.
	Year int
	Now  time.Time
	// Threads of pools whose size no line tells.
	Threads Threads
}

// AutoFormat is the name of the format that the content tells.
const AutoFormat = "auto"

// Names of the formats that a Mapping makes.
const (
	csvFormat  = "csv"
	jsonFormat = "json"
)

// FormatError is a format that cannot be read by.
type FormatError struct{ Err error }

func (e *FormatError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FormatError) Unwrap() error { return e.Err }

// Verify says what is wrong with it before a file is read.
func (f *LogFormat) Verify() error {
	_, err := f.dialects()
	return err
}

// named returns the format that is asked for, false if the content is to tell.
func (f *LogFormat) named() (format formats.Format, ok bool, err error) {
	switch {
	case f.Layout != "":
		if f.Name != "" && f.Name != AutoFormat {
			return format, false, &FormatError{fmt.Errorf("a layout is a format of its own, not of %s", f.Name)}
		}
		format, err = formats.Layout(f.Layout)
	case f.Name == csvFormat:
		format, err = f.Mapping.CSV(f.Comma)
	case f.Name == jsonFormat:
		format, err = f.Mapping.JSON()
	case f.Mapping != formats.Mapping{}:
		return format, false, &FormatError{fmt.Errorf("a mapping is for the formats %s and %s", csvFormat, jsonFormat)}
	case f.Name == "" || f.Name == AutoFormat:
		return format, false, nil
	default:
		var known bool
		if format, known = formats.ByName(f.Name); !known {
			err = fmt.Errorf("there is no format %q", f.Name)
		}
	}
	if err != nil {
		return format, false, &FormatError{err}
	}
	return format, true, nil
}

// dialects give bulk a reader for each file of a run.
type dialects struct {
	options formats.Options
	only    formats.Format // that was asked for
	mapping formats.Mapping
	comma   byte
	isOnly  bool

	mu    sync.Mutex
	known map[string]formats.Format // that were met; guarded by mu

	orphans, forged atomic.Uint64
}

func (f *LogFormat) dialects() (*dialects, error) {
	d := &dialects{mapping: f.Mapping, comma: f.Comma, known: map[string]formats.Format{}}
	d.options = formats.Options{Location: f.Location, Year: f.Year, Now: f.Now}
	if d.options.Now.IsZero() {
		d.options.Now = time.Now()
	}
	var err error
	d.only, d.isOnly, err = f.named()
	return d, err
}

// of says how a file is read, by its place among the files and its beginning. A
// chain goes on with it.
func (d *dialects) of(place int, chain *chain, head []byte) (bulk.Format, error) {
	format, ok := d.only, d.isOnly
	if !ok {
		if format, ok = detect(head); !ok {
			return bulk.Format{}, ErrFormatUnknown
		}
	}
	if format.Name == csvFormat {
		if err := d.columns(head); err != nil {
			return bulk.Format{}, err
		}
	}
	d.met(format, head)
	if format.Name == bulk.Native {
		return bulk.Format{}, nil
	}
	f := bulk.Format{
		Name:    format.Name,
		InOrder: !format.Alone(),
		Skips:   func(err error) bool { return errors.Is(err, formats.ErrSkip) },
	}
	if format.Idle(d.options) != nil {
		f.Idle = func() func([]byte) bool { return format.Idle(d.options) }
	}
	options := d.options
	options.FirstConn = uint64(place)<<connBits + 1
	f.New = func() bulk.Parser { return &lines{format.NewParser(options), d} }
	if f.InOrder && format.Name != csvFormat { // A connection may begin in one file and end in the next; a table names its columns in each.
		if chain.parsers[format.Name] == nil {
			chain.parsers[format.Name] = format.NewParser(options)
		}
		parser := chain.parsers[format.Name]
		f.New = func() bulk.Parser { return &lines{parser, d} }
	}
	return f, nil
}

// columns refuses a table that lacks one that is mapped.
func (d *dialects) columns(head []byte) error {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	const mark = "\xef\xbb\xbf" // As spreadsheets write it.
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(line, []byte(mark))))
	r.Comma, r.LazyQuotes = rune(cmp.Or(d.comma, ',')), true
	there, err := r.Read()
	if err != nil {
		return nil // The parser says what it is.
	}
	m := &d.mapping
	for _, name := range []string{m.Address, m.Peer, m.Port, m.Begin, m.End, m.Duration, m.Status, m.User, m.BytesIn, m.BytesOut} {
		if name != "" && !slices.Contains(there, name) {
			return &FormatError{fmt.Errorf("the table has no column %q; it has %s", name, strings.Join(there[:min(len(there), 20)], ", "))}
		}
	}
	return nil
}

// met notes that a file of a format was met. How fine its stamps are is seen in
// its beginning; what it tells of is seen when all of it was read.
func (d *dialects) met(format formats.Format, head []byte) {
	if format.Name != bulk.Native {
		format.Gives.Clock = format.Seen(head).Gives.Clock
		if all, ok := formats.ByName(format.Name); ok {
			format.Gives.Opens, format.Gives.Durations = all.Gives.Opens, all.Gives.Durations
		}
	} else if all, ok := formats.ByName(bulk.Native); ok {
		format.Gives = all.Gives
		if g, ok := convertedGives(head); ok {
			format.Gives = g
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if old, ok := d.known[format.Name]; ok { // Another file of it may tell less.
		format.Gives = both(old.Gives, format.Gives)
	}
	d.known[format.Name] = format
}

// both is what two logs can tell together.
func both(a, b formats.Gives) formats.Gives {
	return formats.Gives{
		Opens: a.Opens && b.Opens, Durations: a.Durations && b.Durations, Outcomes: a.Outcomes && b.Outcomes,
		Refusals: a.Refusals && b.Refusals, Clock: max(a.Clock, b.Clock), Note: a.Note,
	}
}

// detect says what the beginning of a file looks like. One that is empty, or
// has no end of a line, is left to the connection log's own reader, which says
// what is wrong with it.
func detect(head []byte) (formats.Format, bool) {
	if f, ok := formats.Detect(head); ok {
		return f, true
	}
	if len(head) == 0 || len(head) >= bulk.HeadBytes && bytes.IndexByte(head, '\n') < 0 {
		return formats.ByName(bulk.Native)
	}
	return formats.Format{}, false
}

// connBits are those of the connections of one file.
const connBits = 44

// lines counts what a parser says of lines that give no event. Connections are
// numbered by the places of their lines, so all parsers of a run have different
// ones.
type lines struct {
	*formats.Parser // with Place
	dialects        *dialects
}

// Parse reads a line.
func (l *lines) Parse(line []byte, emit func(*connlog.Event)) error {
	return l.counted(l.Parser.Parse(line, emit))
}

// Visits reads a line.
func (l *lines) Visits(line []byte, emit func(*connlog.Event), visit func(*connlog.Visit)) error {
	return l.counted(l.Parser.Visits(line, emit, visit))
}

// counted counts what is wrong with a line.
func (l *lines) counted(err error) error {
	switch {
	case err == nil:
	case errors.Is(err, formats.ErrOrphan):
		l.dialects.orphans.Add(1)
		return formats.ErrSkip
	case errors.Is(err, formats.ErrForged):
		l.dialects.forged.Add(1)
	}
	return err
}

// gives is what all of some formats can tell, by their names; without any, all
// of those that were met.
func (d *dialects) gives(names ...string) formats.Gives {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(d.known))
	}
	all := formats.Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true}
	var notes []string
	for _, name := range names {
		g := d.known[name].Gives
		if all = both(all, g); g.Note != "" && !slices.Contains(notes, g.Note) {
			notes = append(notes, g.Note)
		}
	}
	all.Note = strings.Join(notes, "; ")
	return all
}
