package app

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"overstay/server"
	"overstay/server/imap"
	"overstay/server/pop3"
	"overstay/server/proxy"
	"overstay/server/smtp"
	"overstay/server/www"
)

// newProtocol builds what is spoken at a service.
func (c *Config) newProtocol(s Service, shared *common) (server.Protocol, error) {
	words := server.Words(s.Words)
	var starttls *tls.Config
	if s.TLS == "starttls" {
		starttls = shared.tls
	}
	switch s.Protocol {
	case "smtp":
		return c.newSMTP(s, shared, starttls)
	case "pop3":
		return pop3.New(pop3.Options{
			Hostname: shared.name, Domains: c.Mail.Domains, Users: shared.users, Store: pop3.Maildirs{Store: shared.store},
			TLS: starttls, AllowPlainAuth: s.PlainAuth, Words: words, Logger: shared.logger,
		})
	case "imap":
		return imap.New(imap.Options{
			Domains: c.Mail.Domains, Users: shared.users, Store: shared.store,
			MaxMessageBytes: s.IMAP.MaxMessageBytes,
			TLS:             starttls, AllowPlainAuth: s.PlainAuth, Words: words, Logger: shared.logger,
		})
	case "proxy":
		return proxy.New(proxy.Options{
			Upstream: s.Proxy.Upstream, Speaks: s.Proxy.Speaks, ProxyHeader: s.Proxy.ProxyHeader,
			ConnectTimeout: time.Duration(s.Proxy.Connect), ReplyTimeout: time.Duration(s.Proxy.Reply),
			ProveTurns: cmp.Or(s.Proxy.ProveTurns, -1), ProveBytes: cmp.Or(s.Proxy.ProveBytes, -1),
			Words: words, Logger: shared.logger,
		})
	case "www":
		return c.newWWW(s, shared)
	}
	return nil, fmt.Errorf("protocol %q", s.Protocol)
}

func (c *Config) newSMTP(s Service, shared *common, starttls *tls.Config) (server.Protocol, error) {
	spool := c.Path("spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	o := smtp.Options{
		Hostname:        shared.name,
		Domains:         c.Mail.Domains,
		Users:           shared.users,
		Store:           smtp.Maildirs{Store: shared.store},
		RequireAuth:     s.SMTP.RequireAuth,
		TLS:             starttls,
		Scanners:        shared.scan,
		PassUnscanned:   c.Scan.OnFailure == "pass",
		PassTooLarge:    c.Scan.Oversize == "pass",
		FixBareLF:       s.SMTP.FixLineEnds,
		SpoolDir:        spool,
		MaxMessageBytes: s.SMTP.MaxMessageBytes,
		MaxRecipients:   s.SMTP.MaxRecipients,
		AllowPlainAuth:  s.PlainAuth,
		Words:           server.Words(s.Words),
		Logger:          shared.logger,
	}
	if r := s.SMTP.Relay; r.Address != "" {
		o.Relay = &smtp.Relay{Address: r.Address, LMTP: r.LMTP, Domains: r.Domains, ForUsers: r.ForUsers}
		if err := o.Relay.TLS.UnmarshalText([]byte(r.TLS)); err != nil {
			return nil, err
		}
		if r.User != "" {
			password, err := os.ReadFile(c.Path(r.PasswordFile))
			if err != nil {
				return nil, fmt.Errorf("smtp.relay.password_file: %w", err)
			}
			line, _, _ := strings.Cut(string(password), "\n")
			o.Relay.User, o.Relay.Password = r.User, strings.TrimRight(line, "\r")
		}
	}
	return smtp.New(o)
}

func (c *Config) newWWW(s Service, shared *common) (server.Protocol, error) {
	o := www.Options{
		Root:       c.Path(s.WWW.Root),
		Status:     shared.status,
		StatusFrom: prefixes(s.WWW.StatusFrom),
		Words:      server.Words(s.Words),
		Logger:     shared.logger,

		HeaderTime:  time.Duration(s.Idle),
		RequestTime: time.Duration(s.Step),
	}
	if s.WWW.Upstream != "" {
		u, err := url.Parse(s.WWW.Upstream)
		if err != nil {
			return nil, err
		}
		o.Upstream, o.UpstreamTime, o.MaxBodyBytes = u, time.Duration(s.WWW.UpstreamTime), s.WWW.MaxBodyBytes
		o.UpstreamConns = max(256, 2*s.Threads)
	}
	return www.New(o)
}
