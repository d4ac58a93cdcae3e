package server

import (
	"time"

	"overstay/connlog"
)

// beat does what is due now and then, until the server stops: it writes beat
// events, so that time goes on in the log when nothing happens, and the lines
// that were held back, and hurries who has waited for long enough.
func (s *Server) beat() {
	second := time.NewTicker(foldEvery)
	defer second.Stop()
	var beats <-chan time.Time // none if they are off
	if s.options.Beat > 0 {
		t := time.NewTicker(s.options.Beat)
		defer t.Stop()
		beats = t.C
	}
	for {
		select {
		case <-s.stop:
			return
		case now := <-second.C:
			s.refusals.flush(now, false)
			s.hurry()
		case <-beats:
			s.log.Write(s.beatEvent())
		}
	}
}

func (s *Server) beatEvent() *connlog.Event {
	e := &connlog.Event{Kind: connlog.Beat}
	for _, svc := range s.services {
		e.Services = append(e.Services, connlog.Service{
			Service: svc.Name,
			Pool:    svc.logPool(),
			Threads: svc.pool.size(),
			Busy:    int(svc.pool.busy.Load()),
			Refused: svc.refused.total(),
		})
	}
	return e
}

func (s *Server) logStart() {
	e := &connlog.Event{
		Kind:    connlog.Start,
		Schema:  connlog.SchemaVersion,
		Version: s.options.Version,
		Host:    s.options.Host,
	}
	for _, svc := range s.services {
		e.Services = append(e.Services, connlog.Service{
			Service:           svc.Name,
			Pool:              svc.logPool(),
			Listen:            svc.listener.Addr().String(),
			Threads:           svc.pool.size(),
			SessionsPerSource: svc.current().perSource.total,
		})
	}
	s.log.Write(e)
}

// logPool returns the pool as the log has it: empty if the service has one of
// its own.
func (s *service) logPool() string {
	if s.Pool == s.Name {
		return ""
	}
	return s.Pool
}
