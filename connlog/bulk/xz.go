package bulk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// The frame of an xz file, as The .xz File Format 1.0.4 has it. The library has
// a reader for it too, but that takes as much memory as the file says it wants:
// up to 4 GiB for each of its blocks.

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	lzma2Filter   = 0x21
	// maxDictionary is a dictionary that the highest level of xz has.
	maxDictionary = 64 << 20
	// maxXZBlocks bounds what is remembered of a stream.
	maxXZBlocks = 1 << 24
)

var (
	errXZ       = errors.New("xz: malformed")
	errXZFilter = errors.New("xz: filters other than LZMA2 are not read")
	errXZCheck  = errors.New("xz: the checksum is wrong")
)

// xzReader reads streams of blocks, one after the other.
type xzReader struct {
	r     *bufio.Reader
	check byte // the kind of checksum that blocks of this stream have
	begun bool // a stream
	block *xzBlock
	n     uint64 // blocks of this stream
	ecma  *crc64.Table
	err   error
}

// xzBlock is a block that is being read.
type xzBlock struct {
	stored xzCounter
	text   *lzma.Reader2
	sum    hash.Hash // nil: of a kind that is not known, or none
}

// xzCounter counts what is read of a block.
type xzCounter struct {
	r *bufio.Reader
	n uint64
}

func (c *xzCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += uint64(n)
	return n, err
}

func (c *xzCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func newXZReader(stored io.Reader) *xzReader {
	return &xzReader{r: bufio.NewReaderSize(stored, storedBytes), ecma: crc64.MakeTable(crc64.ECMA)}
}

func (x *xzReader) Read(b []byte) (int, error) {
	for x.err == nil {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.text.Read(b)
		if n > 0 && x.block.sum != nil {
			x.block.sum.Write(b[:n]) //nolint:errcheck // a hash takes everything
		}
		switch {
		case errors.Is(err, io.EOF):
			x.err = x.blockEnds()
		case err != nil:
			x.err = whole(err)
		}
		if n > 0 || len(b) == 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// whole is an error within a file, which does not end there.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next begins the next block, of this stream or of the next one.
func (x *xzReader) next() error {
	if !x.begun {
		return x.streamBegins()
	}
	size, err := x.r.ReadByte()
	if err != nil {
		return whole(err)
	}
	if size == 0 {
		return x.streamEnds()
	}
	if x.n++; x.n > maxXZBlocks {
		return errXZ
	}
	return x.blockBegins(size)
}

// streamBegins reads the header of a stream and the zeros before it.
func (x *xzReader) streamBegins() error {
	for {
		four, err := x.r.Peek(4)
		if len(four) == 0 && errors.Is(err, io.EOF) {
			return io.EOF // No stream is left.
		}
		if err != nil {
			return whole(err)
		}
		if !bytes.Equal(four, []byte{0, 0, 0, 0}) {
			break
		}
		_, _ = x.r.Discard(4) // They are there.
	}
	var header [12]byte
	if _, err := io.ReadFull(x.r, header[:]); err != nil {
		return whole(err)
	}
	flags := header[6:8]
	switch {
	case string(header[:6]) != xzMagic, flags[0] != 0, flags[1] > 15:
		return errXZ
	case crc32.ChecksumIEEE(flags) != binary.LittleEndian.Uint32(header[8:]):
		return errXZCheck
	}
	x.begun, x.check, x.n = true, flags[1], 0
	return nil
}

// blockBegins reads the header of a block, of which the first byte is the size.
func (x *xzReader) blockBegins(size byte) error {
	header := make([]byte, 4*(int(size)+1))
	header[0] = size
	if _, err := io.ReadFull(x.r, header[1:]); err != nil {
		return whole(err)
	}
	body, sum := header[:len(header)-4], header[len(header)-4:]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum) {
		return errXZCheck
	}
	dictionary, err := xzDictionary(body[1:])
	if err != nil {
		return err
	}
	x.block = &xzBlock{stored: xzCounter{r: x.r}}
	switch x.check {
	case 1:
		x.block.sum = crc32.NewIEEE()
	case 4:
		x.block.sum = crc64.New(x.ecma)
	case 10:
		x.block.sum = sha256.New()
	}
	x.block.text, err = lzma.Reader2Config{DictCap: dictionary}.NewReader2(&x.block.stored)
	if err != nil {
		return whole(err)
	}
	return nil
}

// xzDictionary returns the size of the dictionary out of a block's flags and
// what follows them.
func xzDictionary(body []byte) (int, error) {
	flags := body[0]
	rest := body[1:]
	if flags&0x3c != 0 {
		return 0, errXZ
	}
	for _, has := range []byte{0x40, 0x80} { // the sizes, which are not needed
		if flags&has != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return 0, errXZ
			}
			rest = rest[n:]
		}
	}
	if len(rest) < 3 {
		return 0, errXZ
	}
	if flags&3 != 0 || rest[0] != lzma2Filter || rest[1] != 1 {
		return 0, errXZFilter
	}
	size, err := lzma.DecodeDictCap(rest[2])
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errXZ, err)
	case size > maxDictionary:
		return 0, ErrDictionary
	}
	return int(size), nil
}

// blockEnds reads what follows a block's text.
func (x *xzReader) blockEnds() error {
	b := x.block
	x.block = nil
	if err := x.padding(b.stored.n); err != nil {
		return err
	}
	// The sizes of checksums by their kinds, also of those nobody has defined.
	sum := make([]byte, [...]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[x.check])
	if _, err := io.ReadFull(x.r, sum); err != nil {
		return whole(err)
	}
	if b.sum == nil {
		return nil
	}
	got := b.sum.Sum(nil)
	if x.check != 10 { // A number, the low bytes first.
		for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
			got[i], got[j] = got[j], got[i]
		}
	}
	if !bytes.Equal(got, sum) {
		return errXZCheck
	}
	return nil
}

// padding reads the zeros after n bytes.
func (x *xzReader) padding(n uint64) error {
	for ; n%4 != 0; n++ {
		zero, err := x.r.ReadByte()
		if err != nil {
			return whole(err)
		}
		if zero != 0 {
			return errXZ
		}
	}
	return nil
}

// streamEnds reads the index, of which the first byte was read, and the footer.
func (x *xzReader) streamEnds() error {
	sum := crc32.NewIEEE()
	sum.Write([]byte{0}) //nolint:errcheck // a hash takes everything
	index := &xzIndex{r: x.r, sum: sum, n: 1}
	count, err := binary.ReadUvarint(index)
	if err != nil {
		return whole(err)
	}
	if count != x.n {
		return errXZ
	}
	for range 2 * count {
		if _, err := binary.ReadUvarint(index); err != nil {
			return whole(err)
		}
	}
	for index.n%4 != 0 {
		if zero, err := index.ReadByte(); err != nil || zero != 0 {
			return whole(errors.Join(errXZ, err))
		}
	}
	var end [16]byte // the checksum of the index, and the footer
	if _, err := io.ReadFull(x.r, end[:]); err != nil {
		return whole(err)
	}
	if sum.Sum32() != binary.LittleEndian.Uint32(end[:]) || crc32.ChecksumIEEE(end[8:14]) != binary.LittleEndian.Uint32(end[4:]) {
		return errXZCheck
	}
	if end[12] != 0 || end[13] != x.check || string(end[14:]) != xzFooterMagic {
		return errXZ
	}
	x.begun = false
	return nil
}

// xzIndex counts and sums what is read of an index.
type xzIndex struct {
	r   *bufio.Reader
	sum hash.Hash32
	n   uint64
}

func (i *xzIndex) ReadByte() (byte, error) {
	b, err := i.r.ReadByte()
	if err == nil {
		i.n++
		i.sum.Write([]byte{b}) //nolint:errcheck // a hash takes everything
	}
	return b, err
}
