//go:build !race

package score

// slow says that the race detector is at work. What plays hours of virtual
// time in one goroutine then plays a part of it.
const slow = false
