package score

import (
	"overstay/connlog"
	"overstay/detector"
)

// cause finds the verdict on a log.
type cause struct{}

func newCause() *cause { return &cause{} }

func (c *cause) hear(*connlog.Event, []detector.Decision) {}

func (c *cause) report(uint64) (string, uint64, error) { return "?", 0, nil }
