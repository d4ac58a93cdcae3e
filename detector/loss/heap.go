package loss

// heap is a binary heap of times, the earliest on top (Williams, "Algorithm
// 232: Heapsort", 1964). Written out because the one of the standard library
// allocates for every number.
type heap []int64

func (h *heap) push(t int64) {
	s := append(*h, t)
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if s[up] <= t {
			break
		}
		s[i], i = s[up], up
	}
	s[i] = t
	*h = s
}

// pop takes the earliest time away. The heap must not be empty.
func (h *heap) pop() {
	s := *h
	last := len(s) - 1
	t := s[last]
	*h = s[:last]
	if last > 0 {
		h.replace(t)
	}
}

// replace puts t in the place of the earliest time.
func (h *heap) replace(t int64) {
	s := *h
	i := 0
	for {
		down := 2*i + 1
		if down >= len(s) {
			break
		}
		if down+1 < len(s) && s[down+1] < s[down] {
			down++
		}
		if t <= s[down] {
			break
		}
		s[i], i = s[down], down
	}
	s[i] = t
}
