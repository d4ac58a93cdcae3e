package formats

import (
	"errors"
	"hash/maphash"
	"time"

	"overstay/connlog"
)

// What Parse returns when a line gives no event.
var (
	// ErrSkip is a line in good order that tells nothing of a connection.
	ErrSkip = errors.New("formats: nothing of interest")
	// ErrForeign is a line in good order of another program; it is an ErrSkip.
	ErrForeign = foreign{}
	// ErrMalformed is a line that is not of the format.
	ErrMalformed = errors.New("formats: not a line of the format")
	// ErrForged is a line that names two addresses, either of which a stranger
	// may have written.
	ErrForged = errors.New("formats: two addresses, and either may be forged")
	// ErrOrphan is the end of a connection whose beginning is not known.
	ErrOrphan = errors.New("formats: an end without a beginning")
	// ErrNoYear is a stamp without a year when no option says which.
	ErrNoYear = errors.New("formats: a stamp without a year: Options need Year or Now")
)

type foreign struct{}

func (foreign) Error() string        { return "formats: a line of another program" }
func (foreign) Is(target error) bool { return target == ErrSkip }

// Gives is what the lines of a format can tell.
type Gives struct {
	Opens     bool          // that a connection began, whether or not it ended
	Durations bool          // how long each was open
	Outcomes  bool          // proofs and failures
	Refusals  bool          // connections turned away
	Clock     time.Duration // how fine its stamps are
	Note      string        // what else a reader of figures must know
}

// Options of a Parser.
type Options struct {
	Location *time.Location // of stamps without a zone; UTC if nil
	// Year of the first stamp that has none; see the package comment. With
	// neither Year nor Now such a line is ErrNoYear.
	Year int
	Now  time.Time
	// Service is the name of the service of all events; if empty, the format
	// takes it from the log or has one of its own.
	Service string
	// Boot is that of all events. Two logs that are read into one detector
	// need no two, but then their parsers need different FirstConn.
	Boot      string
	FirstConn uint64 // number of the first connection, 1 if zero
	// MaxOpen is the number of connections followed from one line to another,
	// 65,536 if zero. Of more, those that began first are taken as ended.
	MaxOpen int
}

// Format is a kind of log. The zero value is none.
type Format struct {
	Name    string // one word, for --format
	Meaning string // one line for people
	Gives   Gives

	inOrder bool // a parser keeps what a line told for the lines behind it
	read    func(*Parser, []byte) error
	idle    func(*Parser, []byte) bool // see Idle
	weight  int                        // of its lines, where another format takes the same ones
}

// All returns the formats, in the order in which Detect prefers them.
func All() []Format {
	return []Format{
		nativeFormat(), haproxyFormat(),
		nginxTimedFormat(), combinedFormat(), vhostFormat(), nginxJSONFormat(), nginxErrorFormat(), apacheErrorFormat(),
		caddyFormat(), traefikFormat(), traefikTCPFormat(), envoyFormat(), albFormat(), elbFormat(), vpcFlowFormat(),
		postfixFormat(), dovecotFormat(), opensshFormat(), syslogFormat(),
		eximFormat(), vsftpdFormat(), proftpdFormat(), squidFormat(), endlesshFormat(), cowrieFormat(), cowrieTextFormat(), gmsFormat(),
		zeekFormat(), zeekJSONFormat(), suricataFormat(),
	}
}

// ByName returns the format of a name.
func ByName(name string) (Format, bool) {
	for _, f := range All() {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// NewParser returns a parser of one log, or of one set of rotated files in
// the order of time.
func (f Format) NewParser(o Options) *Parser {
	p := &Parser{read: f.read, service: o.Service, boot: o.Boot}
	p.stamps = stamps{location: o.Location, year: o.Year, now: o.Now}
	if p.stamps.location == nil {
		p.stamps.location = time.UTC
	}
	p.keys.seed = maphash.MakeSeed()
	p.firstConn = max(o.FirstConn, 1)
	p.nextConn = p.firstConn
	p.open.limit = o.MaxOpen
	if p.open.limit <= 0 {
		p.open.limit = defaultMaxOpen
	}
	return p
}

const defaultMaxOpen = 65_536

// detectLines is the number of lines that Detect looks at.
const detectLines = 500

// Detect says which format the beginning of a log has, and what of Gives it
// shows (see Seen). It is the format of which most lines are, if these are at
// least a tenth of those that are there; lines that are of it and tell nothing
// of a connection count a little. A line that is cut at the end of head is not
// looked at.
func Detect(head []byte) (Format, bool) {
	var best Format
	most := 0
	head = trimBOM(head)
	for _, f := range All() {
		if n := f.fits(head); n > most {
			best, most = f, n
		}
	}
	if most == 0 {
		return Format{}, false
	}
	return best.Seen(head), true
}

// The parts that lines count, so that a format whose every line tells is
// before one that takes the same lines and skips them.
const (
	countsTold    = 20
	countsSkipped = 1
)

// fits says how well a log's beginning is of the format, 0 for not.
func (f Format) fits(head []byte) int {
	p := f.NewParser(Options{Now: time.Unix(1<<33, 0)})
	lines, ours, points := 0, 0, 0
	ignore := func(*connlog.Event) {}
	for lines < detectLines {
		line, rest, whole := cutLine(head)
		if !whole && lines > 0 || len(head) == 0 {
			break
		}
		head = rest
		if len(line) == 0 {
			continue
		}
		lines++
		switch err := p.Parse(line, ignore); {
		case err == nil, errors.Is(err, ErrOrphan), errors.Is(err, ErrForged):
			ours++
			points += countsTold
		case errors.Is(err, ErrForeign):
		case errors.Is(err, ErrSkip):
			ours++
			points += countsSkipped
		}
	}
	if ours == 0 || ours*10 < lines {
		return 0
	}
	return points*4 + f.weight
}
