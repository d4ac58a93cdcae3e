package formats

import (
	"time"

	"overstay/connlog"
)

// nativeFormat is the connection log itself, so that who reads logs of any
// kind needs no other way for it. Its events keep their boot and number.
func nativeFormat() Format {
	return Format{
		Name:    "overstay",
		Meaning: "overstay's own connection log",
		Gives: Gives{Opens: true, Durations: true, Outcomes: true, Refusals: true, Clock: time.Microsecond,
			Note: "everything, at the moment it happens"},
		read:   (*Parser).native,
		weight: 1,
	}
}

func (p *Parser) native(line []byte) error {
	if err := p.own.Parse(line, &p.event); err != nil {
		return ErrMalformed
	}
	e := &p.event
	if e.Kind == connlog.Unknown {
		return ErrSkip // of a later version
	}
	if p.service != "" && e.Service != "" {
		e.Service = p.service
	}
	p.send()
	return nil
}
