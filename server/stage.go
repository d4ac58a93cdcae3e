package server

import (
	"time"

	"overstay/connlog"
)

// stageClock adds up the time that a connection spends in each stage.
type stageClock struct {
	stage connlog.Stage
	since time.Time
	spent [connlog.NumStages]time.Duration
}

func (k *stageClock) enter(stage connlog.Stage, now time.Time) {
	k.stop(now)
	k.stage, k.since = stage, now
}

func (k *stageClock) stop(now time.Time) {
	if int(k.stage) < len(k.spent) {
		k.spent[k.stage] += now.Sub(k.since)
	}
	k.since = now
}

// clientsTurn tells whether the client is the one that is waited for.
func (k *stageClock) clientsTurn() bool {
	switch k.stage {
	case connlog.StageScanWait, connlog.StageScan, connlog.StageDeliver, connlog.StageUpstream:
		return false
	}
	return true
}

// Enter moves the connection into a stage. Each call starts the time of
// [Limits].Stage anew, so a protocol calls it when a step is done, not when
// another byte has come. In the stages in which the client waits for us
// (scan_wait, scan, deliver, upstream) its own limits rest.
func (c *Conn) Enter(stage connlog.Stage) { c.enter(stage, false) }

func (c *Conn) enter(stage connlog.Stage, parked bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.clock.enter(stage, now)
	c.parked = parked
	c.armReadLocked() // A read may be waiting already.
}

// Stage returns the stage that the connection is in.
func (c *Conn) Stage() connlog.Stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.stage
}
