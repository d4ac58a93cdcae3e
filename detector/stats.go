package detector

// Stats counts what a detector has read, and what of it was ignored, put
// right, or had no room. Everything but the last four only grows.
type Stats struct {
	Lines         uint64 // taken in
	Boots         uint64
	Repeats       uint64 // lines seen already, ignored
	OldBoot       uint64 // lines of a boot that had ended, ignored
	Gaps          uint64 // places where lines are missing
	Missing       uint64 // lines missing there
	Lost          uint64 // lines the writer says it dropped
	Unknown       uint64 // lines of a kind this version does not know
	Clamped       uint64 // lines whose time was before that of the line before
	ClockSteps    uint64 // of these, clocks that were set back
	NoAddress     uint64 // lines without a valid client address, ignored
	UnknownConns  uint64 // proven, fail and close lines of connections not seen to open
	ReusedConns   uint64 // connections opened again without a close
	ConnsOver     uint64 // connections beyond MaxConns, ignored
	PoolsOver     uint64 // lines of services beyond what is kept apart, ignored
	RefusedBanned uint64 // connections turned away because they were banned

	Sources int // remembered, at most MaxSources; holders may be among them
	Holders int // sources that hold a thread
	Nets    int // known, in all pools
	Conns   int // open connections
}

// Stats returns the counts so far.
func (d *Detector) Stats() Stats {
	s := d.stats
	s.Sources = d.table.resting.len()
	s.Holders = len(d.table.holders)
	s.Conns = len(d.open)
	for _, p := range d.pools.all {
		s.Nets += len(p.nets)
	}
	return s
}
