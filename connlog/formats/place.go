package formats

// Alone reports whether each line of the format tells all of its connection,
// whatever lines came before. Such a log can be read in pieces, each by a
// parser of its own, if Place numbers the connections.
func (f Format) Alone() bool { return !f.inOrder }

// Place numbers the connections of the next line: at is where it stands, a
// number that no other line of the run has, such as that of the bytes before
// it. A line is longer than it has connections.
func (p *Parser) Place(at uint64) { p.nextConn = p.firstConn + at }
