//go:build race

package cause

// slow says that the race detector watches, which takes ten times as long.
const slow = true
