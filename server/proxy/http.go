package proxy

import (
	"bytes"
	"net/http"
	"strconv"

	"overstay/connlog"
)

// httpWatch reads HTTP/1 (RFC 9112) along, one request at a time: pipelining,
// which nobody does, and anything in doubt is not read.
type httpWatch struct {
	blind
	request, response httpMessage
	head              bool // the answer has no body
	status            int
}

func (w *httpWatch) fromClient(b []byte) {
	for len(b) > 0 && !w.sealed {
		if w.request.state == httpEnded {
			w.lose()
			break
		}
		event, text, rest := w.request.next(b)
		b = rest
		switch event {
		case httpStarted:
			method, _ := word(text)
			w.head = is(method, http.MethodHead)
		case httpHeaded:
			if w.request.chunked && w.request.sized {
				w.lose() // Its length can be read in two ways.
			}
			w.request.bodyFrom(httpEnded)
		case httpBad:
			w.lose()
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromClient(b)
	}
}

func (w *httpWatch) fromUpstream(b []byte) {
	for len(b) > 0 && !w.sealed {
		if w.request.state == httpStart {
			w.lose() // An answer to no request.
			break
		}
		event, text, rest := w.response.next(b)
		b = rest
		switch event {
		case httpStarted:
			if w.status = statusOf(text); w.status == 0 {
				w.lose()
			}
		case httpHeaded:
			w.headed()
		case httpBad:
			w.lose()
		}
		if !w.sealed && w.response.state == httpEnded {
			w.answered()
		}
	}
	if w.sealed && len(b) > 0 {
		w.blind.fromUpstream(b)
	}
}

// statusOf returns the status of a response's first line, 0 if it is none.
func statusOf(text []byte) int {
	version, rest := word(text)
	code, _ := word(rest)
	n, err := strconv.Atoi(string(code))
	if !bytes.HasPrefix(version, []byte("HTTP/1.")) || err != nil || len(code) != 3 || n < 100 {
		return 0
	}
	return n
}

// headed decides what follows the header of a response.
func (w *httpWatch) headed() {
	switch {
	case w.status == http.StatusSwitchingProtocols:
		w.seal()
	case w.status < 200:
		w.response = httpMessage{} // The answer is still to come.
	case w.head, w.status == http.StatusNoContent, w.status == http.StatusNotModified:
		w.response.state = httpEnded
	default:
		w.response.bodyFrom(httpUntilEnd)
	}
}

// answered deals with the end of a response.
func (w *httpWatch) answered() {
	switch {
	case w.status < 400:
		w.to.Proven(connlog.ByRequest, "")
	case w.status == http.StatusBadRequest:
		w.to.Fail(connlog.FailCommand, "")
	}
	w.response = httpMessage{}
	if w.request.state != httpEnded {
		w.lose() // Where the next request begins is for the upstream to say.
		return
	}
	w.request = httpMessage{}
}

func (w *httpWatch) upstreamEnded() {
	if !w.sealed && w.response.state == httpUntilEnd {
		w.response.state = httpEnded
		w.answered()
	}
}

func (w *httpWatch) atRest() bool {
	return !w.sealed && w.response.state == httpStart && !w.response.line.begun()
}

func (w *httpWatch) owed() bool { return !w.sealed && w.request.begun() }

func (w *httpWatch) stage() connlog.Stage {
	switch {
	case w.sealed:
		return w.blind.stage()
	case !w.request.begun():
		return connlog.StageIdle
	case w.request.state == httpStart, w.request.state == httpHeader:
		return connlog.StageCommand
	case w.request.state != httpEnded:
		return connlog.StageData
	case w.response.begun():
		return connlog.StageDeliver
	}
	return connlog.StageUpstream
}

type httpState byte

const (
	httpStart httpState = iota // before the end of the first line
	httpHeader
	httpFixed // a body of known length
	httpChunkSize
	httpChunk
	httpChunkEnd
	httpTrailer
	httpUntilEnd // a body until the connection ends
	httpEnded
)

type httpEvent byte

const (
	httpNothing httpEvent = iota
	httpStarted           // the first line is there
	httpHeaded            // the header is: what follows is for bodyFrom
	httpBad               // it is no message, or one that can be read in two ways
)

// httpMessage is a request or a response as it comes in.
type httpMessage struct {
	line    line
	state   httpState
	left    int64 // of a body or chunk
	length  int64
	sized   bool // it has told its length
	chunked bool
}

// begun tells whether something of it has come.
func (m *httpMessage) begun() bool { return m.state != httpStart || m.line.begun() }

// next takes in a part of b, and returns what happened, a first line, and what
// follows.
func (m *httpMessage) next(b []byte) (event httpEvent, text, rest []byte) {
	switch m.state {
	case httpUntilEnd:
		return httpNothing, nil, nil
	case httpFixed, httpChunk:
		n := min(m.left, int64(len(b)))
		m.left -= n
		switch {
		case m.left > 0:
		case m.state == httpFixed:
			m.state = httpEnded
		default:
			m.state = httpChunkEnd
		}
		return httpNothing, nil, b[n:]
	}
	text, rest, ok := m.line.next(b)
	if !ok {
		return httpNothing, nil, nil
	}
	return m.take(text), text, rest
}

// take takes in a line.
func (m *httpMessage) take(text []byte) httpEvent {
	switch m.state {
	case httpStart:
		if len(text) > 0 { // RFC 9112, 2.2: an empty line before is ignored.
			m.state = httpHeader
			return httpStarted
		}
	case httpHeader:
		if len(text) == 0 {
			return httpHeaded
		}
		return m.field(text)
	case httpChunkSize:
		return m.chunk(text)
	case httpChunkEnd:
		if len(text) > 0 {
			return httpBad
		}
		m.state = httpChunkSize
	case httpTrailer:
		if len(text) == 0 {
			m.state = httpEnded
		}
	}
	return httpNothing
}

// field notes what a field of the header says of the body.
func (m *httpMessage) field(text []byte) httpEvent {
	name, value, _ := bytes.Cut(text, []byte{':'})
	value = bytes.TrimSpace(value)
	switch {
	case is(name, "CONTENT-LENGTH"):
		n, err := strconv.ParseUint(string(value), 10, 62) // A sign is not allowed.
		if err != nil || m.sized {
			return httpBad
		}
		m.sized, m.length = true, int64(n)
	case is(name, "TRANSFER-ENCODING"):
		if !is(value, "CHUNKED") || m.chunked {
			return httpBad
		}
		m.chunked = true
	}
	return httpNothing
}

// chunk notes the size of a chunk.
func (m *httpMessage) chunk(text []byte) httpEvent {
	size, _, _ := bytes.Cut(text, []byte{';'})
	n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 62)
	switch {
	case err != nil:
		return httpBad
	case n == 0:
		m.state = httpTrailer
	default:
		m.state, m.left = httpChunk, int64(n)
	}
	return httpNothing
}

// bodyFrom decides what follows the header of a message that may have a body,
// and what does if it says nothing of one.
func (m *httpMessage) bodyFrom(otherwise httpState) {
	switch {
	case m.chunked:
		m.state = httpChunkSize
	case m.sized && m.length > 0:
		m.state, m.left = httpFixed, m.length
	case m.sized:
		m.state = httpEnded
	default:
		m.state = otherwise
	}
}
