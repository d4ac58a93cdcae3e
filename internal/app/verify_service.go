package app

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"overstay/server"
)

// verify finds what the types of a service's settings could not refuse.
func (s Service) verify() error {
	if _, ok := protocols[s.Protocol]; !ok {
		return fmt.Errorf("protocol: %q is none of %s", s.Protocol, strings.Join(slices.Sorted(maps.Keys(protocols)), ", "))
	}
	if strings.ContainsFunc(s.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("name: %q has characters other than letters, digits and signs", s.Name)
	}
	if err := verifyPort("listen", s.Listen); err != nil {
		return err
	}
	for _, check := range []func() error{s.verifyTLS, s.verifyLimits, server.Words(s.Words).Check} {
		if err := check(); err != nil {
			return err
		}
	}
	if s.PlainAuth && !s.hasUsers() {
		return fmt.Errorf("plain_auth: nobody logs in to %s", s.Protocol)
	}
	if s.GreetDelay > 0 && (s.Protocol == "www" || s.Protocol == "proxy" && (s.Proxy.Speaks == "http" || s.Proxy.Speaks == "tcp")) {
		return errors.New("greet_delay: there is no greeting, the client speaks first")
	}
	switch s.Protocol {
	case "smtp":
		return s.SMTP.verify()
	case "imap":
		return s.IMAP.verify()
	case "www":
		return s.WWW.verify()
	case "proxy":
		return s.Proxy.verify()
	}
	return nil
}

func verifyPort(key, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s: %q is not host:port", key, address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s: %q is not a port number", key, port)
	}
	return nil
}

// verifyUpstream takes what verifyPort does, and the socket of a server on
// this machine.
func verifyUpstream(key, address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok && path != "" {
		return nil
	}
	return verifyPort(key, address)
}

func (s Service) verifyTLS() error {
	switch s.TLS {
	case "off", "on":
		return nil
	case "starttls":
		if s.hasUsers() {
			return nil
		}
		return fmt.Errorf("tls: %s knows no starttls", s.Protocol)
	}
	return fmt.Errorf("tls: %q is none of off, starttls, on", s.TLS)
}

func (s Service) verifyLimits() error {
	switch {
	case s.Threads < 1 || s.Threads > 1_000_000:
		return fmt.Errorf("threads: %d is not between 1 and 1000000", s.Threads)
	case s.SessionsPerSource < 0:
		return fmt.Errorf("sessions_per_source: %d is negative", s.SessionsPerSource)
	case s.SessionsPerNet < 0:
		return fmt.Errorf("sessions_per_net: %d is negative", s.SessionsPerNet)
	case s.UnprovenPerSource < -1:
		return fmt.Errorf("unproven_per_source: %d is neither a limit nor -1", s.UnprovenPerSource)
	case min(s.Idle, s.IdleProven, s.IdleStressed, s.Unproven, s.Step, s.Write) <= 0:
		return errors.New("idle, idle_proven, idle_stressed, unproven, step, write: no time is no limit")
	case s.StressFrom <= 0 || s.StressFrom > 1:
		return fmt.Errorf("stress_from: %v is not a part of the threads, between 0 and 1", s.StressFrom)
	}
	return nil
}

func (i IMAP) verify() error {
	if i.MaxMessageBytes < 1 || i.MaxMessageBytes > math.MaxUint32 {
		return errors.New("imap.max_message_bytes: from 1 to 4294967295")
	}
	return nil
}

func (s SMTP) verify() error {
	if s.MaxMessageBytes < 1 || s.MaxRecipients < 1 {
		return errors.New("smtp: a limit of nothing lets no mail through")
	}
	if s.Relay.Address == "" {
		if len(s.Relay.Domains) > 0 {
			return errors.New("smtp.relay.domains: there is no relay.address to pass their mail to")
		}
		return nil
	}
	if !slices.Contains([]string{"off", "opportunistic", "required"}, s.Relay.TLS) {
		return fmt.Errorf("smtp.relay.tls: %q is none of off, opportunistic, required", s.Relay.TLS)
	}
	if (s.Relay.User == "") != (s.Relay.PasswordFile == "") {
		return errors.New("smtp.relay: user and password_file go together")
	}
	return verifyUpstream("smtp.relay.address", s.Relay.Address)
}

func (w WWW) verify() error {
	if w.Upstream == "" {
		return nil
	}
	u, err := url.Parse(w.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("www.upstream: %q is not http://host:port", w.Upstream)
	}
	if w.Root != "" {
		return errors.New("www.root, www.upstream: the files are either here or there")
	}
	if w.MaxBodyBytes < 1 || w.UpstreamTime <= 0 {
		return errors.New("www.max_body_bytes, www.upstream_time: a limit of nothing lets no request through")
	}
	return nil
}

func (p Proxy) verify() error {
	switch {
	case p.Upstream == "":
		return errors.New("proxy.upstream: one is needed")
	case !slices.Contains([]string{"smtp", "pop3", "imap", "http", "tcp"}, p.Speaks):
		return fmt.Errorf("proxy.speaks: %q is none of smtp, pop3, imap, http, tcp", p.Speaks)
	case p.ProxyHeader < 0 || p.ProxyHeader > 2:
		return fmt.Errorf("proxy.proxy_header: %d is none of 0, 1, 2", p.ProxyHeader)
	case p.ProveTurns < 0:
		return fmt.Errorf("proxy.prove_turns: %d is negative", p.ProveTurns)
	case p.ProveBytes < 0:
		return fmt.Errorf("proxy.prove_bytes: %d is negative", p.ProveBytes)
	case p.Connect <= 0 || p.Reply <= 0:
		return errors.New("proxy.connect, proxy.reply: no time is no limit")
	}
	return verifyUpstream("proxy.upstream", p.Upstream)
}
