package smtp

import (
	"bytes"
	"io"
	"os"
)

// spoolMemory is how much of a message is kept in memory. Larger ones go to a
// file: a thousand slow senders of large messages must not need a thousand
// times that.
const spoolMemory = 64 << 10

// spool keeps a message between its end and its delivery. The zero value is
// empty, and uses the system's folder for temporary files.
type spool struct {
	dir    string
	memory bytes.Buffer
	file   *os.File // instead, if the message is large
	size   int64
}

// Write adds to the message. It implements io.Writer.
func (s *spool) Write(b []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(b) > spoolMemory {
		if err := s.toFile(); err != nil {
			return 0, err
		}
	}
	s.size += int64(len(b))
	if s.file != nil {
		return s.file.Write(b)
	}
	return s.memory.Write(b)
}

// toFile moves the message to a file without a name, which goes away with the
// process however that ends.
func (s *spool) toFile() error {
	f, err := os.CreateTemp(s.dir, "overstay-message-")
	if err != nil {
		return err
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = f.Write(s.memory.Bytes())
	s.memory = bytes.Buffer{}
	return err
}

// reader reads the message from its beginning. It is good until Close.
func (s *spool) reader() io.Reader {
	if s.file != nil {
		return io.NewSectionReader(s.file, 0, s.size)
	}
	return bytes.NewReader(s.memory.Bytes())
}

// Close forgets the message.
func (s *spool) Close() {
	if s.file != nil {
		_ = s.file.Close() // Nobody reads it any more.
	}
	*s = spool{}
}
