package mailstore

import (
	"bufio"
	"bytes"
	"io"
)

// Messages are stored with the line ends of this host, as every Maildir has
// them, and go over the wire with those of the network: each LF that has no
// CR before it becomes CRLF.

// wireCounter counts the octets that what is written has on the wire.
type wireCounter struct {
	size int64
	cr   bool // the last octet was a CR
}

func (c *wireCounter) add(b []byte) {
	if len(b) == 0 {
		return
	}
	c.size += int64(len(b)) + int64(bytes.Count(b, []byte{'\n'})-bytes.Count(b, []byte("\r\n")))
	if c.cr && b[0] == '\n' {
		c.size--
	}
	c.cr = b[len(b)-1] == '\r'
}

// wireReader turns the line ends of this host into those of the network.
type wireReader struct {
	file io.ReadCloser
	in   *bufio.Reader
	cr   bool // the last octet was a CR
	lf   bool // a CR went out, its LF follows
}

func newWireReader(f io.ReadCloser) *wireReader {
	return &wireReader{file: f, in: bufio.NewReaderSize(f, 32<<10)}
}

// Read implements io.Reader.
func (r *wireReader) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		if n > 0 && r.in.Buffered() == 0 && !r.lf {
			break // What is there is enough.
		}
		if r.lf {
			b[n] = '\n'
			n++
			r.lf, r.cr = false, false
			continue
		}
		c, err := r.in.ReadByte()
		if err != nil {
			return n, err
		}
		if c == '\n' && !r.cr {
			b[n] = '\r'
			n++
			r.lf = true
			continue
		}
		b[n] = c
		n++
		r.cr = c == '\r'
	}
	return n, nil
}

// Close closes the file.
func (r *wireReader) Close() error { return r.file.Close() }

// hostWriter turns the line ends of the network into those of this host.
type hostWriter struct {
	w  *bufio.Writer
	cr bool // a CR was held back
}

// Write implements io.Writer.
func (h *hostWriter) Write(b []byte) (int, error) {
	for _, c := range b {
		if h.cr && c != '\n' {
			_ = h.w.WriteByte('\r') // An error stays, and the next call has it.
		}
		if h.cr = c == '\r'; h.cr {
			continue
		}
		if err := h.w.WriteByte(c); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (h *hostWriter) flush() error {
	if h.cr {
		_ = h.w.WriteByte('\r') // Flush has the error.
	}
	return h.w.Flush()
}
