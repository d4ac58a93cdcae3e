package formats

// Idle returns what says of a line that it tells nothing, whatever lines came
// before it; nil if the format does not know such lines. It is not for
// concurrent use. Where several goroutines read a log whose lines depend on
// each other, each may leave such lines out before the others' turn has come.
//
// A date that is none is told from a stamp by the year, which a line alone does
// not always tell: one of the 29th of February may be left out that Parse finds
// malformed.
func (f Format) Idle(o Options) func(line []byte) bool {
	if f.idle == nil {
		return nil
	}
	p := f.NewParser(o)
	return func(line []byte) bool {
		for n := len(line); n > 0 && line[n-1] == '\r'; n-- {
			line = line[:n-1]
		}
		return len(line) > 0 && len(line) <= maxLine && line[0] != bom[0] && f.idle(p, line)
	}
}
