package occupancy

// cross enters or leaves the time that counts, if that is due.
func (f *Fold) cross() {
	w := &f.window
	at := f.journal.now - f.journal.shift
	if w.state == before && at >= w.from {
		w.state, w.begin = within, max(w.from+f.journal.shift, f.journal.before)
		f.enterWindow()
	}
	if w.state == within && at > w.to {
		w.end = max(w.to+f.journal.shift, f.journal.before) // It may be in a leap.
		f.leaveWindow()
		w.state = after
	}
}

// enterWindow begins to count, with what is open.
func (f *Fold) enterWindow() {
	at := f.window.begin
	granule := int64(0)
	if f.clock > 0 {
		granule = f.granule(at)
	}
	for i := range f.sources.n {
		t := f.sources.at(int32(i))
		t.load.run(t.crest.open, at, &f.passing)
		t.crest.reset(granule)
	}
	for i := range f.nets.n {
		n := f.nets.at(int32(i))
		n.load.run(n.crest.open, at, &f.passing)
		n.crest.reset(granule)
	}
	for _, s := range f.pools.services {
		s.crest.reset(granule)
		s.peakAt = f.window.from
	}
	f.total.reset(granule)
	f.totalAt = f.window.from
	for _, one := range f.open.sorted() {
		t := f.sources.at(one.source)
		of := f.nets.at(t.net)
		t.load.most, of.load.most = t.load.value, of.load.value
		f.counted(&one.session, t, f.pools.services[one.service])
	}
	for _, p := range f.pools.all {
		p.look(at, f.window.from)
	}
}

// leaveWindow counts what is open for the last time.
func (f *Fold) leaveWindow() {
	e := f.ending(f.window.end)
	for i, t := range e.sources {
		*f.sources.at(i) = *t
	}
	for i, n := range e.nets {
		*f.nets.at(i) = *n
	}
	for i, s := range e.services {
		*f.pools.services[i] = *s
	}
	for _, p := range f.pools.all {
		if p.isFull {
			p.touch(f.window.end, f.window.to)
		}
	}
	f.open.each(func(s *session) { s.source = nobody })
}

// ending is what changes if all that is open ends: copies, so that the log may
// go on.
type ending struct {
	sources  map[int32]*tally
	nets     map[int32]*net
	services map[uint16]*service
}

func (f *Fold) ending(at int64) ending {
	e := ending{make(map[int32]*tally), make(map[int32]*net), make(map[uint16]*service)}
	if f.window.state != within {
		return e
	}
	for _, one := range f.open.sorted() {
		s := &one.session
		t := e.sources[s.source]
		if t == nil {
			t = new(*f.sources.at(s.source))
			t.load.ends(t.crest.open, at, &f.passing)
			e.sources[s.source] = t
		}
		if e.nets[t.net] == nil {
			n := new(*f.nets.at(t.net))
			n.load.ends(n.crest.open, at, &f.passing)
			e.nets[t.net] = n
		}
		service := e.services[s.service]
		if service == nil {
			service = new(*f.pools.services[s.service])
			e.services[s.service] = service
		}
		f.held(s, t, service, f.pools.all[s.pool], at)
		t.openAtEnd++
		service.openAtEnd++
		t.touch(t.first, at-f.journal.shift)
	}
	return e
}

// ends lets the time pass to the end.
func (l *load) ends(n int32, at int64, p *passing) {
	l.run(n, at, p)
	l.most = max(l.most, l.value)
}

// closeWhere ends connections.
func (f *Fold) closeWhere(at int64, over func(*session) bool) {
	if f.open.n == 0 {
		return
	}
	for _, one := range f.open.sorted() {
		if over(&one.session) {
			f.open.take(one.conn)
			f.ended(&one.session, at, false)
		}
	}
}
