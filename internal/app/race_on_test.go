//go:build race

package app_test

// raceOn says that the race detector slows everything down.
const raceOn = true
