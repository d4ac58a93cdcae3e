package server

import "fmt"

// Configure takes over what can change without a restart: the number of
// threads, the limits of sources and nets, [Limits], TLS, ProxyFrom,
// GreetDelay, and the words of refusals, which it asks the new Protocol for;
// the running Protocol stays, and so do the words where the new one is nil.
// What a client waits for keeps to the new limits at once; a handshake or a
// greeting's delay that has begun keeps to the old ones. If there are fewer
// threads than are held, those who hold them may finish.
//
// It returns what is left for a restart, a short sentence for each: a service
// that is new or gone, listens elsewhere, or takes threads from another pool.
// On an error, which is of the kinds that New returns, or ErrClosed, nothing
// has changed.
func (s *Server) Configure(services []Service) ([]string, error) {
	sizes, err := checkServices(services)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stopped {
		return nil, ErrClosed
	}
	next := make(map[*service]*settings)
	var restart []string
	for _, o := range services {
		svc := s.service(o.Name)
		if svc == nil {
			restart = append(restart, fmt.Sprintf("service %q is new", o.Name))
			continue
		}
		restart = append(restart, svc.fixed(&o)...)
		set, err := newSettings(&o, svc.sizeAmong(sizes))
		if err != nil {
			return nil, err
		}
		if o.Protocol == nil {
			set.words = svc.current().words
		}
		next[svc] = set
	}
	for _, svc := range s.services {
		set := next[svc]
		if set == nil {
			restart = append(restart, fmt.Sprintf("service %q is gone", svc.Name))
			continue
		}
		svc.settings.Store(set)
		svc.pool.threads.Store(int64(svc.sizeAmong(sizes)))
	}
	for _, p := range s.pools {
		p.rearm()
	}
	if s.state == serving {
		s.log.Write(s.beatEvent()) // A reader learns the sizes of the pools from it.
	}
	return restart, nil
}

// service returns the service of a name, or nil.
func (s *Server) service(name string) *service {
	for _, svc := range s.services {
		if svc.Name == name {
			return svc
		}
	}
	return nil
}

// sizeAmong returns the size of the service's pool among those of other
// settings. If the pool is none of them, it keeps its own.
func (s *service) sizeAmong(sizes map[string]int) int {
	if size := sizes[s.Pool]; size > 0 {
		return size
	}
	return s.pool.size()
}

// fixed says what of o is different and stays as it is.
func (s *service) fixed(o *Service) []string {
	var all []string
	if o.Listen != s.Listen {
		all = append(all, fmt.Sprintf("service %q listens on %q, not %q", s.Name, s.Listen, o.Listen))
	}
	if pool := poolName(*o); pool != s.Pool {
		all = append(all, fmt.Sprintf("service %q takes its threads from pool %q, not %q", s.Name, s.Pool, pool))
	}
	return all
}
