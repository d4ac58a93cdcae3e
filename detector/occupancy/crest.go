package occupancy

// crest counts the threads that are held and keeps the most there were.
type crest struct {
	open      int32
	low, high int32
	// Of the present granule of a clock that is coarse: how many were open when
	// it began, and how many of these are; what high comes to if all beginnings
	// come first; and whether there was one that began and ended in it.
	base, top int32
	brief     bool
	granule   int64
}

// begin counts one more; true if there never were so many.
func (c *crest) begin() bool {
	c.open++
	if c.open <= c.low {
		return false
	}
	c.low, c.high = c.open, c.open
	return true
}

func (c *crest) end() { c.open-- }

// reset forgets the most there were, but not what is open.
func (c *crest) reset(granule int64) {
	c.low, c.high = c.open, c.open
	c.base, c.top, c.brief, c.granule = c.open, c.open, false, granule
}

// beginIn is begin where the clock is coarse.
func (c *crest) beginIn(granule int64) bool {
	c.enter(granule)
	c.open++
	if c.top++; c.top <= c.high {
		return false
	}
	c.high = c.top
	return true
}

// endIn is end where the clock is coarse.
func (c *crest) endIn(granule, began int64) {
	c.enter(granule)
	c.open--
	if began == granule {
		c.brief = true
	} else {
		c.base--
	}
}

// enter brings the count to a granule.
func (c *crest) enter(granule int64) {
	if granule == c.granule {
		return
	}
	c.low = c.settled()
	c.granule, c.base, c.top, c.brief = granule, c.open, c.open, false
}

// settled is low when the granule is over.
func (c *crest) settled() int32 {
	low := max(c.low, c.open)
	if c.brief {
		low = max(low, c.base+1)
	}
	return low
}
