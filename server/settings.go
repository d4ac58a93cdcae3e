package server

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"overstay/connlog"
)

// settings are what a service can be told anew while it serves. They never
// change: Configure puts others in their place.
type settings struct {
	perSource  sourceLimits
	limits     Limits
	tls        *tls.Config
	refuserTLS *tls.Config // the same for who is turned away
	proxyFrom  []netip.Prefix
	greetDelay time.Duration
	words      map[connlog.Reason][]byte
}

// current returns the settings that are in force.
func (s *service) current() *settings { return s.settings.Load() }

// newSettings returns what o says, for a pool of so many threads.
func newSettings(o *Service, threads int) (*settings, error) {
	proxies, err := unmapped(o.ProxyFrom)
	switch {
	case err != nil:
		return nil, &ServiceError{o.Name, err.Error()}
	case o.TLS != nil && len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil:
		return nil, &ServiceError{o.Name, "its TLS has no certificate"}
	}
	set := &settings{
		perSource: sourceLimits{
			total:    max(o.SessionsPerSource, 0),
			net:      max(o.SessionsPerNet, 0),
			unproven: setting(o.UnprovenPerSource, max(minUnprovenDefault, threads/10)),
		},
		limits:     o.Limits.withDefaults(),
		tls:        o.TLS,
		proxyFrom:  proxies,
		greetDelay: max(o.GreetDelay, 0),
	}
	if o.TLS != nil {
		// A refusal is in the protocol's plainest words: HTTP/2 is not spoken.
		set.refuserTLS = o.TLS.Clone()
		set.refuserTLS.NextProtos = nil
	}
	if o.Protocol != nil {
		set.words = refusalWords(o.Protocol)
	}
	return set, nil
}

// unmapped returns prefixes in the form that addresses have here.
func unmapped(prefixes []netip.Prefix) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if !p.IsValid() {
			return nil, fmt.Errorf("%v is no net of trusted proxies", p)
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// trusts tells whether a peer says who its client is.
func (set *settings) trusts(peer netip.Addr) bool {
	for _, p := range set.proxyFrom {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// addServices checks the services and gives each its pool.
func (s *Server) addServices() error {
	sizes, err := checkServices(s.options.Services)
	if err != nil {
		return err
	}
	pools := make(map[string]*pool)
	for _, o := range s.options.Services {
		if o.Protocol == nil {
			return &ServiceError{o.Name, "it has no protocol"}
		}
		o.Pool = poolName(o)
		threads := sizes[o.Pool]
		set, err := newSettings(&o, threads)
		if err != nil {
			return err
		}
		p := pools[o.Pool]
		if p == nil {
			p = newPool(o.Pool, threads)
			pools[o.Pool] = p
			s.pools = append(s.pools, p)
		}
		svc := &service{Service: o, server: s, pool: p}
		svc.settings.Store(set)
		s.services = append(s.services, svc)
	}
	return nil
}

// checkServices checks what services have in common, and returns the size of
// each pool.
func checkServices(services []Service) (map[string]int, error) {
	if len(services) == 0 {
		return nil, ErrNoService
	}
	names := make(map[string]bool)
	for _, o := range services {
		switch {
		case o.Name == "":
			return nil, &ServiceError{o.Name, "it has no name"}
		case names[o.Name]:
			return nil, &ServiceError{o.Name, "the name is used twice"}
		}
		names[o.Name] = true
	}
	return poolSizes(services)
}

func poolName(o Service) string {
	if o.Pool != "" {
		return o.Pool
	}
	return o.Name
}

// poolSizes finds the size of each pool: services that share one must not
// contradict each other.
func poolSizes(services []Service) (map[string]int, error) {
	sizes := make(map[string]int)
	for _, o := range services {
		name := poolName(o)
		switch size := sizes[name]; {
		case o.Threads < 0:
			return nil, &ServiceError{o.Name, "its number of threads is negative"}
		case o.Threads != 0 && size != 0 && o.Threads != size:
			return nil, &ServiceError{o.Name, fmt.Sprintf("pool %q has %d threads, not %d", name, size, o.Threads)}
		default:
			sizes[name] = max(size, o.Threads)
		}
	}
	for name, size := range sizes {
		if size == 0 {
			sizes[name] = defaultThreads
		}
	}
	return sizes, nil
}
