//go:build race

package bulk_test

// unraced is a number of rounds, fewer under the race detector.
func unraced(rounds int) int { return rounds / 8 }
