package bulk

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"overstay/connlog"
)

// Input is one file of a log.
type Input struct {
	Name string // the path, or what it is to be called
	// From is read instead of the file, if it is not nil: standard input, for
	// example. It remains the caller's to close. Where a read of it blocks, the
	// end of the context is seen only if From has a SetReadDeadline that works,
	// which is set to the past then.
	From io.Reader
}

// Files returns the inputs of paths.
func Files(paths ...string) []Input {
	inputs := make([]Input, 0, len(paths))
	for _, path := range paths {
		inputs = append(inputs, Input{Name: path})
	}
	return inputs
}

// Options of a Reader. The zero value is ready.
type Options struct {
	// Workers read and parse at the same time. If zero there is one more than
	// GOMAXPROCS, so that no core is idle when one of them waits its turn.
	Workers      int
	ChunkBytes   int // what a worker reads at a time, 256 KiB if zero
	MaxLineBytes int // a longer line is skipped; connlog.DefaultMaxLineBytes if zero
	// Malformed is of how many malformed lines of each file it is said which
	// they are; 10 if zero, none if negative. All of them are counted.
	Malformed int
	// Format says how a file is to be read, by its name and the first bytes of
	// its text: not more than HeadBytes, and less only if there is no more. It
	// is called for one file at a time: for each when it is to be read, and,
	// where there are several, once before, to put them in order. An error makes
	// the file one that cannot be read. Nil: all are connection logs.
	Format func(name string, head []byte) (Format, error)
	// Digest, if not nil, makes what takes in the events where they are parsed,
	// one for each batch there is; see Digest.
	Digest func() Digest
}

// A Digest takes in the events of a batch, in their order, on the core that
// parses them; the loop is then given Batch.Digest, and no Events. What the
// loop needs of an event is mostly little, so a digest saves the writing and
// reading of all the rest. An event is valid until Observe returns.
type Digest interface {
	Reset() // what it holds is not needed any more
	Observe(*connlog.Event)
}

// Visits is a Digest that takes in what stands for a connection's events, where
// the parser is a [Visitor]. A visit is valid until Visit returns.
type Visits interface {
	Digest
	Visit(*connlog.Visit)
}

// HeadBytes is how much of a file is looked at before it is read.
const HeadBytes = 64 << 10

// Format is how the lines of a file become events. The zero value is the
// connection log's own.
type Format struct {
	Name string // is said in File; Native if New is nil
	// New returns a parser; nil is the connection log's own. With InOrder it is
	// called once for a file, and may return the parser of the file before;
	// else it is called for each worker, which may happen at the same time.
	New func() Parser
	// InOrder is for parsers that keep state from line to line. They are given
	// all lines in their order, never two at once.
	InOrder bool
	// Skips says of an error of Parse that the line is in good order and tells
	// nothing. Nil: each error is a malformed line.
	Skips func(error) bool
	// Idle makes for a worker what says of a line that it tells nothing, whatever
	// came before it: it is skipped. That is asked on all cores at once, so with
	// InOrder such lines need not wait for their turn. Nil: all are parsed.
	Idle func() func(line []byte) bool
	// Begins returns the time of the first event in a head, zero if there is
	// none, by which files are put in order. Nil: a new parser is asked.
	Begins func(head []byte) time.Time
	// Yearless says that the file's stamps have no year, and Begins took one: the
	// same for all such files, though they may go over New Year.
	Yearless bool
}

// A Parser turns lines into events. It must not keep the line. An event that
// it gives to emit is copied.
type Parser interface {
	Parse(line []byte, emit func(*connlog.Event)) error
}

// A Placed parser is told before each line where it stands: at is the number of
// bytes of text before it, in all inputs together. A format that has to number
// the connections of its lines can number them so, and be read in parallel.
type Placed interface {
	Parser
	Place(at uint64)
}

// A Visitor is a parser of lines some of which tell a connection in full. Visits
// gives these to visit, in place of their events, and the others to emit.
type Visitor interface {
	Parser
	Visits(line []byte, emit func(*connlog.Event), visit func(*connlog.Visit)) error
}

// Compression of an input, as its first bytes tell.
type Compression string

// What is recognised.
const (
	Plain Compression = "plain"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
	Bzip2 Compression = "bzip2"
	XZ    Compression = "xz"
)

// File is what the reading of an input came to, as far as it was handed over.
type File struct {
	Name        string
	Format      string
	Compression Compression
	Lines       uint64 // all of them
	Events      uint64
	Skipped     uint64 // lines that are in good order and tell nothing
	Malformed   uint64 // lines that are not of the format, or too long
	TooLong     uint64 // of the malformed ones
	Text        uint64 // bytes, when no longer compressed
	Err         error  // why it was not read, or not to its end
}

// FileError is about one input. Reading goes on with the next one.
type FileError struct {
	Name string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("read %s: %v", e.Name, e.Err) }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// Errors of inputs and readers.
var (
	// ErrDictionary is the error of an xz file that wants too much memory.
	ErrDictionary = errors.New("bulk: compressed with a dictionary of more than 64 MiB")
	// ErrShorter is the error of a file that lost its end while it was read.
	ErrShorter = errors.New("bulk: it became shorter while it was read")
	// ErrUsed is the error of asking a Reader for its batches again.
	ErrUsed = errors.New("bulk: the log was read already")
)

// A Reader reads a log once. All but Progress is for one goroutine.
type Reader struct {
	inputs  []Input
	options Options
	files   []*File
	used    bool
	done    atomic.Int64
	total   atomic.Int64
}

// NewReader returns a Reader of the files of one log.
func NewReader(inputs []Input, o Options) *Reader {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0) + 1
	}
	if o.ChunkBytes <= 0 {
		o.ChunkBytes = 256 << 10
	}
	if o.MaxLineBytes <= 0 {
		o.MaxLineBytes = connlog.DefaultMaxLineBytes
	}
	if o.Malformed == 0 {
		o.Malformed = 10
	}
	return &Reader{inputs: inputs, options: o}
}

// Files returns what was read so far, in the order of reading. They are
// updated while the loop over Batches goes on.
func (r *Reader) Files() []*File { return r.files }

// Progress returns how many bytes of the files were read, as they are stored,
// and how many there are; total is 0 where an input has no size. It may be
// called at any time, by anyone.
func (r *Reader) Progress() (done, total int64) { return r.done.Load(), r.total.Load() }
