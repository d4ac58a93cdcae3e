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

// ourStages are those in which the client waits for us.
func ourStages() [4]connlog.Stage {
	return [...]connlog.Stage{connlog.StageScanWait, connlog.StageScan, connlog.StageDeliver, connlog.StageUpstream}
}

// clientsTurn tells whether the client is the one that is waited for.
func (k *stageClock) clientsTurn() bool {
	for _, ours := range ourStages() {
		if k.stage == ours {
			return false
		}
	}
	return true
}

// end returns when the stage that goes on has used up what all its visits
// together may take, or zero if that is never. If one of ours has done so
// before, it is the beginning of the stage that goes on.
func (k *stageClock) end(total *[connlog.NumStages]time.Duration) time.Time {
	for _, ours := range ourStages() {
		if ours != k.stage && total[ours] > 0 && k.spent[ours] >= total[ours] {
			return k.since
		}
	}
	if int(k.stage) >= len(total) || total[k.stage] == 0 {
		return time.Time{}
	}
	return k.since.Add(total[k.stage] - k.spent[k.stage])
}

// Enter moves the connection into a stage. Each call starts the time of
// [Limits].Stage anew, so a protocol calls it when a step is done, not when
// another byte has come. In the stages in which the client waits for us
// (scan_wait, scan, deliver, upstream) its own limits rest. The stage idle is
// for the time between two steps: a protocol leaves it when the first byte of
// the next one has come.
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
	c.cameBefore = c.bytesIn.Load()
	_ = c.armReadLocked() // A read may be waiting already; a closed one is awake.
}

// Stage returns the stage that the connection is in.
func (c *Conn) Stage() connlog.Stage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.stage
}
