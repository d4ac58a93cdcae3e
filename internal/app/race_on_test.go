//go:build race

package app_test

import "time"

// raceOn says that the race detector slows everything down.
const raceOn = true

// shortAttack is how long an attack is where nothing else is asked for: with
// the race detector who is served in time is no matter.
const shortAttack = 8 * time.Second

// games is how many times a random test plays.
const games = "10"
