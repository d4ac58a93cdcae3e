package connlog

// An interner keeps one copy of strings that come again. It forgets all of
// them when it is full, so a flood of names costs memory only up to a limit.
type interner struct {
	recent [64]string // by length and three bytes, in front of known
	known  map[string]string
}

const (
	maxInterned      = 4096
	maxInternedBytes = 128 // a longer string is not kept
)

func (in *interner) string(b []byte) string {
	n := len(b)
	if n == 0 {
		return ""
	}
	recent := &in.recent[(n^int(b[0])<<1^int(b[n/4])<<2^int(b[n-1]))&63]
	if *recent == string(b) {
		return *recent
	}
	if n > maxInternedBytes {
		return string(b)
	}
	s, ok := in.known[string(b)]
	if !ok {
		if in.known == nil {
			in.known = make(map[string]string)
		} else if len(in.known) >= maxInterned {
			clear(in.known)
		}
		s = string(b)
		in.known[s] = s
	}
	*recent = s
	return s
}
