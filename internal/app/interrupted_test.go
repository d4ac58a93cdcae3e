package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"overstay/connlog/formats"
	"overstay/detector/loss"
	"overstay/internal/traffic"
)

// endsAfter is a context that ends when it was asked so often.
type endsAfter struct {
	context.Context
	left atomic.Int64
}

func (c *endsAfter) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestReplaysAreInterrupted ends them with the context, however many there are
// to be.
func TestReplaysAreInterrupted(t *testing.T) {
	in, err := Default().newInquiry(false, formats.Gives{Outcomes: true})
	if err != nil {
		t.Fatal(err)
	}
	scenario := traffic.Scenarios()[0]
	sim := scenario.Simulation(1)
	events, err := sim.Events()
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		in.observe(e)
	}
	const asked = 10
	ctx := &endsAfter{Context: t.Context()}
	ctx.left.Store(asked)
	if _, _, err = in.whole(ctx, "", time.Time{}, time.Time{}, loss.Question{Seeds: 50}); !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", scenario.Name, err)
	}
}
