package server

import "time"

// Status is what a server does at a moment.
type Status struct {
	Started  time.Time // zero if it does not serve
	Stopping bool
	Services []ServiceStatus
}

// ServiceStatus is what one service does. The counts are since the start.
type ServiceStatus struct {
	Name     string
	Listen   string // empty if it does not listen
	Pool     string
	Threads  int    // size of its pool
	Busy     int    // threads of its pool held
	Unproven int    // threads of its pool held by connections that proved nothing
	Accepted uint64 // connections given a thread
	Refused  RefusedStatus
}

// RefusedStatus counts connections turned away, by reason.
type RefusedStatus struct {
	Busy, Sessions, Banned uint64
}

// Status returns what the server does now.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Started: s.started, Stopping: s.stopping()}
	for _, svc := range s.services {
		busy, unproven := svc.pool.counts()
		one := ServiceStatus{
			Name:     svc.Name,
			Pool:     svc.Pool,
			Threads:  svc.pool.size(),
			Busy:     busy,
			Unproven: unproven,
			Accepted: svc.accepted.Load(),
			Refused: RefusedStatus{
				Busy:     svc.refused.busy.Load(),
				Sessions: svc.refused.sessions.Load(),
				Banned:   svc.refused.banned.Load(),
			},
		}
		if svc.listener != nil {
			one.Listen = svc.listener.Addr().String()
		}
		st.Services = append(st.Services, one)
	}
	return st
}
