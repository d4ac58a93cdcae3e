//go:build !race

package app_test

import "time"

// raceOn says that the race detector slows everything down.
const raceOn = false

// shortAttack is how long an attack is where nothing else is asked for.
const shortAttack = 20 * time.Second

// games is how many times a random test plays.
const games = "25"
