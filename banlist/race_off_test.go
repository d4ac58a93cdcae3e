//go:build !race

package banlist

const raced = false
