package www

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// rawH2 speaks HTTP/2 by hand, and badly.
type rawH2 struct {
	net.Conn
	t  testing.TB
	mu sync.Mutex
}

const (
	frameData    = 0
	frameHeaders = 1
	frameReset   = 3
	frameSetting = 4
	framePing    = 6
	flagEndOf    = 1 // of the stream; an acknowledgement
	flagHeaders  = 4 // end of the headers
)

// h2 connects, with the settings given as id and value.
func (s *site) h2(t testing.TB, settings ...uint32) *rawH2 {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Addr("www").String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &rawH2{Conn: conn, t: t}
	if _, err := io.WriteString(c, preface); err != nil {
		t.Fatal(err)
	}
	var payload []byte
	for i := 0; i < len(settings); i += 2 {
		payload = binary.BigEndian.AppendUint16(payload, uint16(settings[i]))
		payload = binary.BigEndian.AppendUint32(payload, settings[i+1])
	}
	c.frame(frameSetting, 0, 0, payload)
	return c
}

// frame sends a frame. A server that has hung up is noticed by the reader.
func (c *rawH2) frame(kind, flags byte, stream uint32, payload []byte) {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	b = append(binary.BigEndian.AppendUint32(b, stream), payload...)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Write(b)
}

// request asks for a path, and sends a body afterwards if that is not all.
func (c *rawH2) request(stream uint32, path string, all bool) {
	method, flags := byte(0x83), byte(flagHeaders) // POST
	if all {
		method, flags = 0x82, flagHeaders|flagEndOf // GET
	}
	block := []byte{method, 0x87, 0x44, byte(len(path))} // https, and a path
	block = append(append(block, path...), 0x41, 1, 'x') // of the host x
	c.frame(frameHeaders, flags, stream, block)
}

// wait reads until a frame of a kind comes for a stream, and returns false if
// the connection ends before.
func (c *rawH2) wait(kind byte, stream uint32) bool {
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return false
		}
		size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			return false
		}
		if head[3] == kind && (stream == 0 || binary.BigEndian.Uint32(head[5:]) == stream) {
			return true
		}
	}
}
