package scan

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

const (
	chunkBytes = 64 << 10
	// maxAnswerBytes bounds what clamd may say.
	maxAnswerBytes = 4 << 10
)

// Scan has clamd look at what r has to give, and returns what it says. The
// error is ErrTooLarge, ErrScanner, ctx's, or the one of r, as it is.
func (t *Turn) Scan(ctx context.Context, r io.Reader) (Verdict, error) {
	if t.over {
		return Verdict{}, errDone
	}
	scan, cancel := context.WithTimeout(ctx, t.scanners.options.Timeout)
	defer cancel()
	verdict, err := t.scanners.scan(scan, r)
	if err != nil && ctx.Err() != nil {
		return Verdict{}, ctx.Err()
	}
	return verdict, err
}

func (s *Scanners) scan(ctx context.Context, r io.Reader) (Verdict, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, s.network, s.target)
	if err != nil {
		return Verdict{}, unavailable("dial", err)
	}
	defer func() { _ = c.Close() }() // What counts is its answer.
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = c.SetDeadline(time.Unix(1, 0)) // A closed one waits for nothing.
	})
	defer func() {
		if !stop() {
			<-interrupted
		}
	}()
	source := &bounded{r: r, left: s.options.MaxBytes, limited: s.options.MaxBytes > 0}
	sent := stream(c, source)
	if source.err != nil {
		return Verdict{}, source.err // Without an end, clamd drops what it has.
	}
	// When clamd has had enough it says so and hangs up: the answer is there,
	// even if not everything could be sent.
	answer, err := readAnswer(c)
	if err != nil {
		return Verdict{}, unavailable("read the answer", errors.Join(err, sent))
	}
	verdict, err := parseAnswer(answer)
	if err == nil && !verdict.Found() && sent != nil {
		return Verdict{}, unavailable("send the message", sent)
	}
	return verdict, err
}

// stream sends the command and the message in chunks, each with its length in
// four bytes before it, and an empty one at the end.
func stream(w io.Writer, r io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+chunkBytes)
	for {
		n, err := io.ReadFull(r, buf[4:])
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		last := err != nil
		binary.BigEndian.PutUint32(buf, uint32(n))
		piece := buf[:4+n]
		if last && n > 0 {
			if n > chunkBytes-4 {
				if _, err := w.Write(piece); err != nil {
					return err
				}
				piece = buf[:0]
			}
			piece = append(piece, 0, 0, 0, 0)
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// readAnswer reads up to the zero byte that ends an answer. What a scanner
// said that died while it spoke is not an answer.
func readAnswer(r io.Reader) ([]byte, error) {
	answer, err := bufio.NewReaderSize(r, maxAnswerBytes).ReadSlice(0)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	return answer[:len(answer)-1], nil
}

// bounded remembers how reading ended, and that there was too much.
type bounded struct {
	r       io.Reader
	left    int64
	limited bool
	err     error // other than the end
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.limited && b.left < 0 {
		err = ErrTooLarge
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func unavailable(doing string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = context.DeadlineExceeded
	}
	return fmt.Errorf("%w: %s: %w", ErrScanner, doing, err)
}
