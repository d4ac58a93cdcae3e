package connlog

import (
	"net/netip"
	"time"
	"unicode/utf8"
)

// Append appends e to dst as one JSON object, without a newline. The keys
// come in the order of docs/connlog.md; only those of e.Kind are written, and
// of these only the ones that are not zero. Negative numbers count as zero.
// It allocates nothing beyond the growth of dst.
//
// Strings are written as encoding/json does it with HTML escaping off:
// control characters are escaped and invalid UTF-8 becomes U+FFFD, so no name
// that a client gives can end a line or forge a key.
func Append(dst []byte, e *Event) []byte {
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, e.Time)
	dst = append(dst, `","event":"`...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, '"')
	dst = appendText(dst, `,"boot":`, e.Boot)
	dst = appendUint(dst, `,"seq":`, e.Seq)
	switch e.Kind {
	case Open:
		dst = appendConn(dst, e)
		dst = appendInt(dst, `,"client_port":`, int64(e.ClientPort))
		dst = appendInt(dst, `,"busy":`, int64(e.Busy))
		dst = appendInt(dst, `,"threads":`, int64(e.Threads))
		dst = appendInt(dst, `,"held_us":`, e.Held.Microseconds())
		dst = appendTrue(dst, `,"proven":true`, e.Proven)
		dst = appendInt(dst, `,"fails":`, int64(e.Fails))
	case Proven:
		dst = appendConn(dst, e)
		dst = appendText(dst, `,"by":`, string(e.By))
		dst = appendText(dst, `,"user":`, e.User)
	case Fail:
		dst = appendConn(dst, e)
		dst = appendText(dst, `,"what":`, string(e.What))
		dst = appendText(dst, `,"user":`, e.User)
	case Close:
		dst = appendConn(dst, e)
		dst = appendInt(dst, `,"held_us":`, e.Held.Microseconds())
		dst = appendStages(dst, &e.Stages)
		dst = appendInt(dst, `,"bytes_in":`, e.BytesIn)
		dst = appendInt(dst, `,"bytes_out":`, e.BytesOut)
		dst = appendText(dst, `,"end":`, string(e.End))
		dst = appendTrue(dst, `,"proven":true`, e.Proven)
		dst = appendInt(dst, `,"fails":`, int64(e.Fails))
	case Refuse:
		dst = appendConn(dst, e)
		dst = appendText(dst, `,"reason":`, string(e.Reason))
		dst = appendInt(dst, `,"busy":`, int64(e.Busy))
		dst = appendInt(dst, `,"threads":`, int64(e.Threads))
		dst = appendUint(dst, `,"count":`, e.Count)
	case Start:
		dst = appendInt(dst, `,"schema":`, int64(e.Schema))
		dst = appendText(dst, `,"version":`, e.Version)
		dst = appendText(dst, `,"host":`, e.Host)
		dst = appendServices(dst, e.Services)
		dst = appendTrue(dst, `,"continued":true`, e.Continued)
	case Beat:
		dst = appendServices(dst, e.Services)
	case Lost:
		dst = appendUint(dst, `,"count":`, e.Count)
	case Stop:
		dst = appendText(dst, `,"reason":`, string(e.Reason))
	}
	return append(dst, '}')
}

// appendConn appends what names a connection or, in a refuse line, its source.
func appendConn(dst []byte, e *Event) []byte {
	dst = appendText(dst, `,"service":`, e.Service)
	dst = appendUint(dst, `,"conn":`, e.Conn)
	if e.ClientIP.IsValid() {
		dst = append(dst, `,"client_ip":`...)
		dst = appendAddr(dst, e.ClientIP)
	}
	return dst
}

func appendAddr(dst []byte, addr netip.Addr) []byte {
	addr = addr.Unmap()
	if addr.Zone() != "" { // may hold anything
		return appendString(dst, addr.String())
	}
	dst = append(dst, '"')
	dst = addr.AppendTo(dst)
	return append(dst, '"')
}

func appendStages(dst []byte, stages *[NumStages]time.Duration) []byte {
	begun := false
	for i, d := range stages {
		if d < time.Microsecond {
			continue
		}
		if begun {
			dst = append(dst, `,"`...)
		} else {
			dst = append(dst, `,"stages_us":{"`...)
			begun = true
		}
		dst = append(dst, Stage(i).String()...)
		dst = append(dst, `":`...)
		dst = appendDigits(dst, uint64(d.Microseconds()))
	}
	if begun {
		dst = append(dst, '}')
	}
	return dst
}

func appendServices(dst []byte, services []Service) []byte {
	if len(services) == 0 {
		return dst
	}
	dst = append(dst, `,"services":[`...)
	for i := range services {
		s := &services[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"service":`...)
		dst = appendString(dst, s.Service)
		if s.Pool != s.Service {
			dst = appendText(dst, `,"pool":`, s.Pool)
		}
		dst = appendText(dst, `,"listen":`, s.Listen)
		dst = appendInt(dst, `,"busy":`, int64(s.Busy))
		dst = appendInt(dst, `,"threads":`, int64(s.Threads))
		dst = appendInt(dst, `,"sessions_per_source":`, int64(s.SessionsPerSource))
		dst = appendUint(dst, `,"refused":`, s.Refused)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, key...)
	return appendString(dst, s)
}

func appendUint(dst []byte, key string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendDigits(append(dst, key...), n)
}

func appendInt(dst []byte, key string, n int64) []byte {
	return appendUint(dst, key, uint64(max(n, 0)))
}

func appendTrue(dst []byte, keyAndValue string, v bool) []byte {
	if v {
		dst = append(dst, keyAndValue...)
	}
	return dst
}

// appendString appends s as a JSON string. Most strings are plain, so it looks
// afterwards whether this one was.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := len(dst)
	dst = append(dst, s...)
	if skipPlain(dst, from) != len(dst) {
		dst = appendEscaped(dst[:from], s)
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[done:i]...)
			dst = appendEscape(dst, c)
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, s[done:i]...)
			dst = append(dst, `\ufffd`...)
			done = i + size
		case r == '\u2028' || r == '\u2029': // line ends to some readers
			dst = append(dst, s[done:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			done = i + size
		}
		i += size
	}
	return append(dst, s[done:]...)
}

const hexDigits = "0123456789abcdef"

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
