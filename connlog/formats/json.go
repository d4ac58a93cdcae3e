package formats

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// jsonReader goes through one JSON object without keeping it. It is for lines
// of logs: what is not well-formed is refused, what nests deeper than
// maxDepth as well.
type jsonReader struct {
	path []byte // of the key that is read, with dots between levels
	text []byte // a string whose escapes are resolved
	bad  bool
}

const maxDepth = 16

// each calls visit with the path and the value of each scalar of the object
// in b, strings without quotes and with their escapes resolved. Scalars in
// arrays have the array's path. Both are valid until visit returns. ok is
// false if b is no object, or more than one.
func (r *jsonReader) each(b []byte, visit func(path, value []byte)) (ok bool) {
	r.path, r.bad = r.path[:0], false
	b = space(b)
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	rest := r.value(b, 0, visit)
	return !r.bad && len(space(rest)) == 0
}

func space(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	return b
}

func (r *jsonReader) fail() []byte {
	r.bad = true
	return nil
}

// value reads the value at the beginning of b and returns what follows it.
func (r *jsonReader) value(b []byte, depth int, visit func(path, value []byte)) []byte {
	if len(b) == 0 || depth > maxDepth {
		return r.fail()
	}
	switch b[0] {
	case '{':
		return r.object(b[1:], depth, visit)
	case '[':
		return r.array(b[1:], depth, visit)
	case '"':
		text, rest := r.string(b)
		if !r.bad {
			visit(r.path, text)
		}
		return rest
	}
	n := 0
	for n < len(b) && b[n] != ',' && b[n] != '}' && b[n] != ']' && b[n] > ' ' {
		n++
	}
	if n == 0 || !scalar(b[:n]) {
		return r.fail()
	}
	visit(r.path, b[:n])
	return b[n:]
}

// scalar says whether b is a word or looks like a number.
func scalar(b []byte) bool {
	switch string(b) {
	case "true", "false", "null":
		return true
	}
	for _, c := range b {
		if c-'0' > 9 && bytes.IndexByte(borrow("+-.eE"), c) < 0 {
			return false
		}
	}
	return true
}

func (r *jsonReader) object(b []byte, depth int, visit func(path, value []byte)) []byte {
	level := len(r.path)
	for first := true; ; first = false {
		b = space(b)
		if len(b) > 0 && b[0] == '}' && first {
			return b[1:]
		}
		if len(b) == 0 || b[0] != '"' {
			return r.fail()
		}
		key, rest := r.string(b)
		if r.bad {
			return nil
		}
		if level > 0 {
			r.path = append(r.path, '.')
		}
		r.path = append(r.path, key...)
		rest = space(rest)
		if len(rest) == 0 || rest[0] != ':' {
			return r.fail()
		}
		rest = space(r.value(space(rest[1:]), depth+1, visit))
		r.path = r.path[:level]
		if r.bad || len(rest) == 0 {
			return r.fail()
		}
		b = rest[1:]
		if rest[0] == '}' {
			return b
		}
		if rest[0] != ',' {
			return r.fail()
		}
	}
}

func (r *jsonReader) array(b []byte, depth int, visit func(path, value []byte)) []byte {
	for first := true; ; first = false {
		b = space(b)
		if len(b) > 0 && b[0] == ']' && first {
			return b[1:]
		}
		b = space(r.value(b, depth+1, visit))
		if r.bad || len(b) == 0 {
			return r.fail()
		}
		end := b[0]
		b = b[1:]
		if end == ']' {
			return b
		}
		if end != ',' {
			return r.fail()
		}
	}
}

// string reads the string at the beginning of b, which has its quote.
func (r *jsonReader) string(b []byte) (text, rest []byte) {
	b = b[1:]
	end := bytes.IndexByte(b, '"')
	if end < 0 {
		return r.fail(), nil
	}
	if bytes.IndexByte(b[:end], '\\') < 0 {
		return b[:end], b[end+1:]
	}
	r.text = r.text[:0]
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '"':
			return r.text, b[i+1:]
		case '\\':
			n := r.escape(b[i:])
			if n == 0 {
				return r.fail(), nil
			}
			i += n
		default:
			r.text = append(r.text, c)
			i++
		}
	}
	return r.fail(), nil
}

// escape resolves the escape at the beginning of b and returns its length.
func (r *jsonReader) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case 'n':
		r.text = append(r.text, '\n')
	case 't':
		r.text = append(r.text, '\t')
	case 'r':
		r.text = append(r.text, '\r')
	case 'b':
		r.text = append(r.text, '\b')
	case 'f':
		r.text = append(r.text, '\f')
	case 'u':
		if len(b) < 6 {
			return 0
		}
		n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
		if err != nil {
			return 0
		}
		r.text = utf8.AppendRune(r.text, rune(n)) // halves of a pair become U+FFFD
		return 6
	case 'x': // nginx's own, without escape=json
		if len(b) < 4 {
			return 0
		}
		n, err := strconv.ParseUint(string(b[2:4]), 16, 8)
		if err != nil {
			return 0
		}
		r.text = append(r.text, byte(n))
		return 4
	default:
		r.text = append(r.text, b[1])
	}
	return 2
}
