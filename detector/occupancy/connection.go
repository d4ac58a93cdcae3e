package occupancy

func (f *Fold) opened(n *note, name string) {
	if s := f.open.find(n.conn); s != nil {
		if n.extra > 0 && f.isOf(n, s.source) {
			if n.marks&isProven != 0 {
				f.proves(n.conn, s, s.opened) // The line that said when was lost, if there is no proof yet.
			}
			f.open.name(n.conn, f.journal.head)
			return // It is named again, no new one.
		}
		one, _ := f.open.take(n.conn)
		f.ended(&one, f.journal.now, false)
	}
	number := f.service(n, name)
	service := f.pools.services[number]
	if n.marks&hasAddress == 0 {
		if f.window.state == within {
			service.orphans++
			service.seen = true
		}
		return
	}
	s := session{
		opened: f.journal.now - n.extra, head: f.journal.head, service: number, pool: service.pool,
		source: nobody, proven: n.marks&isProven != 0,
	}
	if f.window.state != after {
		f.begun(&s, n)
	}
	f.open.add(n.conn, s)
}

// nobody is the source of a connection that no longer counts.
const nobody = -1

// isOf says whether an event is a source's.
func (f *Fold) isOf(n *note, source int32) bool {
	if source == nobody {
		return true
	}
	return n.marks&hasAddress != 0 && f.source(n) == source
}

// begun counts a connection that begins to hold a thread, or was found to.
func (f *Fold) begun(s *session, n *note) {
	now := f.journal.now
	s.source = f.source(n)
	p, service, t := f.pools.all[s.pool], f.pools.services[s.service], f.sources.at(s.source)
	of := f.nets.at(t.net)
	s.toll, s.unprovenUntil = p.toll, s.opened

	t.load.run(t.crest.open, now, &f.passing)
	of.load.run(of.crest.open, now, &f.passing)
	if n.extra > 0 {
		t.load.value += f.passing.of(n.extra)
		of.load.value += f.passing.of(n.extra)
	}
	f.rise(s, t, of, service)
	p.open++
	if n.busy > 0 && n.extra == 0 {
		p.report(n)
	}
	if f.window.state != within {
		p.isFull = false
		return
	}
	t.load.most = max(t.load.most, t.load.value)
	of.load.most = max(of.load.most, of.load.value)
	f.counted(s, t, service)
	if n.marks&isMoved != 0 {
		t.late++
		service.late++
	}
	p.look(now, now-f.journal.shift)
}

// counted counts a connection that is open at some time that counts.
func (f *Fold) counted(s *session, t *tally, service *service) {
	t.connections++
	service.connections++
	service.seen = true
	if s.proven {
		t.proven++
		service.proven++
	}
	t.touch(max(s.opened, f.window.begin)-f.journal.shift, f.journal.now-f.journal.shift)
}

// touch notes when something counted that began then.
func (t *tally) touch(from, to int64) {
	t.seen = true
	t.first, t.last = min(t.first, from), max(t.last, to)
}

// rise counts one more thread wherever threads are counted.
func (f *Fold) rise(s *session, t *tally, of *net, service *service) {
	at := f.journal.now - f.journal.shift
	if f.clock > 0 {
		granule := f.granule(f.journal.now)
		s.granule = granule
		t.crest.beginIn(granule)
		of.crest.beginIn(granule)
		if service.crest.beginIn(granule) {
			service.peakAt = at
		}
		if f.total.beginIn(granule) {
			f.totalAt = at
		}
		return
	}
	t.crest.begin()
	of.crest.begin()
	if service.crest.begin() {
		service.peakAt = at
	}
	if f.total.begin() {
		f.totalAt = at
	}
}

// fall counts one less.
func (f *Fold) fall(s *session, t *tally, of *net, service *service, now int64) {
	if f.clock > 0 {
		granule, began := f.granule(now), s.granule
		t.crest.endIn(granule, began)
		of.crest.endIn(granule, began)
		service.crest.endIn(granule, began)
		f.total.endIn(granule, began)
		return
	}
	t.crest.end()
	of.crest.end()
	service.crest.end()
	f.total.end()
}

// granule is the number of a stamp of a coarse clock.
func (f *Fold) granule(us int64) int64 {
	if us == f.stamp {
		return f.stamped
	}
	g := us / f.clock
	if us < 0 && us%f.clock != 0 {
		g--
	}
	f.stamp, f.stamped = us, g
	return g
}

func (f *Fold) closed(n *note, name string) {
	if n.marks&endProves != 0 {
		for range n.busy {
			f.failed(n, name)
		}
		if n.marks&isProven != 0 {
			f.proved(n, name)
		}
	}
	if s, ok := f.open.take(n.conn); ok {
		f.ended(&s, f.journal.now, n.marks&isProven != 0)
		return
	}
	if f.window.state == before {
		return
	}
	from, to := max(f.journal.now-n.extra, f.window.begin), min(f.journal.now, f.window.end)
	known := n.marks&hasAddress != 0 && n.extra > 0
	if f.window.state == after && (!known || from > to) {
		return
	}
	service := f.pools.services[f.service(n, name)]
	service.seen = true
	if !known {
		service.orphans++
		return
	}
	t := f.sources.at(f.source(n))
	t.connections++
	t.late++
	service.connections++
	service.late++
	if f.window.state == after {
		t.openAtEnd++
		service.openAtEnd++
	}
	hold(&t.time, to-from)
	hold(&service.time, to-from)
	if n.marks&isProven != 0 {
		t.proven++
		service.proven++
	} else {
		hold(&t.unproven, to-from)
	}
	t.touch(from-f.journal.shift, to-f.journal.shift)
}

// ended gives back the thread of a connection that was open.
func (f *Fold) ended(s *session, at int64, proven bool) {
	if s.source == nobody {
		return
	}
	p, service, t := f.pools.all[s.pool], f.pools.services[s.service], f.sources.at(s.source)
	of := f.nets.at(t.net)
	t.load.run(t.crest.open, at, &f.passing)
	of.load.run(of.crest.open, at, &f.passing)
	f.fall(s, t, of, service, at)
	p.open--
	if f.window.state != within {
		return
	}
	t.load.most = max(t.load.most, t.load.value)
	of.load.most = max(of.load.most, of.load.value)
	if proven && !s.proven {
		s.proven = true
		s.unprovenUntil = s.opened
		t.proven++
		service.proven++
	}
	f.held(s, t, service, p, at)
	t.touch(t.first, at-f.journal.shift)
	p.look(at, at-f.journal.shift)
}

// held adds what a connection held up to a time to its source and service.
func (f *Fold) held(s *session, t *tally, service *service, p *pool, at int64) {
	from := max(s.opened, f.window.begin)
	hold(&t.time, at-from)
	hold(&service.time, at-from)
	if !s.proven {
		hold(&t.unproven, at-from)
	} else {
		hold(&t.unproven, s.unprovenUntil-from)
	}
	t.blame += p.toll - s.toll
}

func (f *Fold) proved(n *note, name string) {
	if n.conn == 0 {
		if f.window.state == within && n.marks&hasAddress != 0 {
			t, service := f.bystander(n, name)
			t.proven++
			service.proven++
		}
		return
	}
	if s := f.open.find(n.conn); s != nil { // Else its close will tell.
		f.proves(n.conn, s, f.journal.now)
	}
}

// proves notes when a connection that is open was proven.
func (f *Fold) proves(conn uint64, s *session, at int64) {
	if s.proven || s.source == nobody {
		return
	}
	s.proven, s.unprovenUntil = true, at
	f.open.put(conn, s)
	if f.window.state == within {
		f.sources.at(s.source).proven++
		f.pools.services[s.service].proven++
	}
}

// bystander is the source and the service of a line without a connection.
func (f *Fold) bystander(n *note, name string) (*tally, *service) {
	t, service := f.sources.at(f.source(n)), f.pools.services[f.service(n, name)]
	at := f.journal.now - f.journal.shift
	t.touch(at, at)
	service.seen = true
	return t, service
}

func (f *Fold) failed(n *note, name string) {
	if f.window.state != within {
		return
	}
	if s := f.open.find(n.conn); s != nil && n.conn != 0 && s.source != nobody {
		t := f.sources.at(s.source)
		t.fails++
		t.touch(t.first, f.journal.now-f.journal.shift)
		f.pools.services[s.service].fails++
		return
	}
	if n.marks&hasAddress != 0 {
		t, service := f.bystander(n, name)
		t.fails++
		service.fails++
	}
}

func (f *Fold) refused(n *note, name string) {
	number := f.service(n, name)
	service := f.pools.services[number]
	p := f.pools.all[service.pool]
	if n.busy > 0 && n.marks&(busyRefusal|sessionsRefusal) != 0 {
		p.report(n)
	}
	if f.window.state != within {
		return
	}
	now, at := f.journal.now, f.journal.now-f.journal.shift
	count := uint64(n.extra)
	service.seen = true
	switch {
	case n.marks&busyRefusal != 0:
		service.busy += count
		p.refuse(count, now, at)
	case n.marks&sessionsRefusal != 0:
		service.sessionsOver += count
	default:
		service.banned += count
	}
	if n.marks&hasAddress != 0 {
		t, _ := f.bystander(n, name)
		t.refused += count
	}
	p.look(now, at)
}
