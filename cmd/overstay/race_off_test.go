//go:build !race

package main

// raceOn says that the race detector takes memory and time of its own.
const raceOn = false
