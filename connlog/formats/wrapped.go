package formats

import "errors"

// unwrapped reads a web server's line, which may have gone through syslog or
// a container's runtime. Only who is known to be a web server is believed: of
// others, a message may be what a stranger made them write.
func (p *Parser) unwrapped(line []byte, read func([]byte) error) error {
	err := read(line)
	if !errors.Is(err, ErrMalformed) {
		return err
	}
	if inner, ok := p.withoutContainer(line); ok {
		return read(inner)
	}
	if p.syslog(line) == nil && isWeb(p.head.program) {
		return read(p.head.message)
	}
	return err
}

func isWeb(program []byte) bool {
	switch string(program) {
	case "nginx", "caddy", "traefik", "envoy":
		return true
	}
	return isApache(program)
}

// withoutContainer cuts off what Kubernetes writes before a line: a time, the
// stream, and F for a whole one.
func (p *Parser) withoutContainer(line []byte) ([]byte, bool) {
	_, n, err := p.stamps.iso(line)
	if err != nil {
		return nil, false
	}
	inner, ok := after(line[n:], " stdout F ")
	if !ok {
		inner, ok = after(line[n:], " stderr F ")
	}
	return inner, ok
}
