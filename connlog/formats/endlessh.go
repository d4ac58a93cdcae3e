package formats

import (
	"errors"
	"math"
	"time"

	"overstay/connlog"
)

// endlesshFormat is the log of the tarpit endlessh, in which everybody is held
// on purpose. It is the one log here that tells the size of its pool.
func endlesshFormat() Format {
	return Format{
		Name:    "endlessh",
		Meaning: "endlessh, the SSH tarpit",
		inOrder: true,
		Gives: Gives{Opens: true, Durations: true, Clock: time.Millisecond,
			Note: "nobody proves anything here"},
		read: (*Parser).endlessh,
	}
}

func (p *Parser) endlessh(line []byte) error {
	at, n, err := p.stamps.iso(line)
	if err != nil {
		at, n, err = p.stamps.glog(line) // of the one in Go
	}
	if errors.Is(err, ErrNoYear) {
		return err
	}
	if err != nil || n >= len(line) || line[n] != ' ' {
		return ErrMalformed
	}
	if rest, ok := after(line[n:], " ACCEPT host="); ok {
		return p.trapped(at, rest)
	}
	if rest, ok := after(line[n:], " CLOSE host="); ok {
		return p.escaped(at, rest)
	}
	for _, other := range []string{" Port ", " Delay ", " MaxLineLength ", " MaxClients ", " BindFamily ", " TOTALS "} {
		if _, ok := after(line[n:], other); ok {
			return ErrSkip
		}
	}
	return ErrForeign
}

// trapped reads 192.0.2.7 port=43360 fd=4 n=1/4096.
func (p *Parser) trapped(at int64, b []byte) error {
	host, b, _ := cut(b, " port=")
	addr, ok := address(host)
	text, b, ok2 := cutByte(b, ' ')
	_, b, ok3 := cut(b, "n=") // fd=4 n=1/4096, or n=1/4096
	busy, size, ok4 := cutByte(b, '/')
	held, ok5 := number(busy)
	threads, ok6 := number(size)
	if !ok || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || threads > math.MaxInt32 || held > threads {
		return ErrMalformed
	}
	p.busy, p.threads = int(held), int(threads)
	p.opened(p.keys.endpoint('e', addr, port(text)), at, addr, port(text), "endlessh")
	p.busy, p.threads = 0, 0
	return nil
}

// escaped reads 192.0.2.7 port=43360 fd=4 time=63.006 bytes=410.
func (p *Parser) escaped(at int64, b []byte) error {
	host, b, _ := cut(b, " port=")
	addr, ok := address(host)
	text, b, ok2 := cutByte(b, ' ')
	_, b, ok3 := cut(b, "time=")
	seconds, _, _ := cut(b, " bytes=")
	held, ok4 := decimal(seconds)
	if !ok || !ok2 || !ok3 || !ok4 {
		return ErrMalformed
	}
	if p.closed(p.keys.endpoint('e', addr, port(text)), at, connlog.EndClient) == nil {
		return nil
	}
	p.tell(&visit{addr: addr, port: port(text), service: "endlessh", from: at - held, to: at, end: connlog.EndClient})
	return nil
}
