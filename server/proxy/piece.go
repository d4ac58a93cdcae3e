package proxy

import (
	"io"
	"sync"
)

const (
	smallPiece = 2 << 10
	largePiece = 64 << 10
)

// largePieces are for who has much to say. Whoever waits holds a small one:
// most connections of a full server are silent.
var largePieces = sync.Pool{New: func() any { return new([largePiece]byte) }}

// piece is what is read at a time.
type piece struct {
	small [smallPiece]byte
	large *[largePiece]byte // nil: not needed now
	n     int
	err   error // of the read that brought the last bytes
}

func newPiece() *piece { return &piece{} }

// fill reads what there is. It returns an error only without bytes.
func (p *piece) fill(r io.Reader) error {
	if p.err != nil {
		p.n = 0
		return p.err
	}
	switch {
	case p.large == nil && p.n == smallPiece:
		p.large = largePieces.Get().(*[largePiece]byte)
	case p.large != nil && p.n < smallPiece:
		p.free()
	}
	room := p.small[:]
	if p.large != nil {
		room = p.large[:]
	}
	n, err := r.Read(room)
	p.n = n
	if n > 0 {
		if err != nil && !isTimeout(err) {
			p.err = err
		}
		return nil
	}
	return err
}

// text returns what was read.
func (p *piece) text() []byte {
	if p.large != nil {
		return p.large[:p.n]
	}
	return p.small[:p.n]
}

// free gives the large buffer back.
func (p *piece) free() {
	if p.large != nil {
		largePieces.Put(p.large)
		p.large = nil
	}
}
