//go:build race

package banlist

// raced is set when the race detector is on, under which counts of
// allocations mean nothing.
const raced = true
