package bulk

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"overstay/connlog"
)

const (
	// magicBytes are enough to know every compression.
	magicBytes = 10
	// maxWindowBytes bounds the memory that a zstd file can ask for.
	maxWindowBytes = 128 << 20
	// storedBytes are read at a time from a file that is compressed.
	storedBytes = 128 << 10
)

// compressionOf says what the first bytes of a file tell.
func compressionOf(head []byte) Compression {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return Gzip
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		return Zstd
	case len(head) >= 10 && string(head[:3]) == "BZh" && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "\x31\x41\x59\x26\x53\x59" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return Bzip2
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return XZ
	}
	return Plain
}

// textOf returns the text of what is stored, and what ends its reading.
func textOf(stored io.Reader) (text io.Reader, kind Compression, end func(), err error) {
	head := make([]byte, magicBytes)
	n, err := io.ReadFull(stored, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, Plain, nil, err
	}
	whole := &headed{head: head[:n], rest: stored}
	end = func() {}
	switch kind = compressionOf(whole.head); kind {
	case Gzip:
		z, err := gzip.NewReader(bufio.NewReaderSize(whole, storedBytes))
		if err != nil {
			return nil, kind, nil, fmt.Errorf("%w: %w", connlog.ErrCompressed, err)
		}
		return &unpacked{z}, kind, func() { _ = z.Close() }, nil // It only says again what Read said.
	case Zstd:
		z, err := zstd.NewReader(whole, zstd.WithDecoderConcurrency(zstdBlocks),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return nil, kind, nil, fmt.Errorf("%w: %w", connlog.ErrCompressed, err)
		}
		return &unpacked{z}, kind, z.Close, nil
	case Bzip2:
		return &unpacked{bzip2.NewReader(bufio.NewReaderSize(whole, storedBytes))}, kind, end, nil
	case XZ:
		return &unpacked{newXZReader(whole)}, kind, end, nil
	}
	return whole, kind, end, nil
}

// zstdBlocks is how many blocks of a file are unpacked at the same time. More
// than one let the steps of it go on side by side: a quarter faster on two cores.
const zstdBlocks = 4

// headed is rest with the bytes in front that were read from it already.
type headed struct {
	head []byte
	rest io.Reader
}

func (h *headed) Read(b []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(b, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	return h.rest.Read(b)
}

// unpacked marks the errors of a decompressor.
type unpacked struct{ r io.Reader }

func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", connlog.ErrCompressed, err)
	}
	return n, err
}
