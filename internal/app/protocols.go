package app

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/server"
	"overstay/server/certs"
	"overstay/server/mailstore"
	"overstay/server/scan"
	"overstay/server/www"
)

// common is what several services share.
type common struct {
	host   string           // the machine's name
	name   string           // in greetings
	users  *mailstore.Users // nil: no service has any
	store  *mailstore.Store
	tls    *tls.Config    // nil: no service speaks it
	scan   *scan.Scanners // nil: nothing is scanned
	status func() server.Status
	logger *slog.Logger
}

// newServer builds the server that the configuration describes.
func (c *Config) newServer(list *banlist.List, log *connlog.Writer, logger *slog.Logger) (*server.Server, error) {
	// The status page shows the server that it is a part of.
	var s *server.Server
	shared, err := c.newCommon(func() server.Status { return s.Status() }, logger)
	if err != nil {
		return nil, err
	}
	services, err := c.newServices(shared)
	if err != nil {
		return nil, err
	}
	if err := inherit(services); err != nil {
		return nil, err
	}
	s, err = server.New(server.Options{
		Services: services,
		Banned:   list,
		Log:      log,
		Logger:   logger,
		Version:  Version,
		Host:     shared.host,
	})
	return s, err
}

// newCommon opens what the services share.
func (c *Config) newCommon(status func() server.Status, logger *slog.Logger) (*common, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	shared := &common{host: host, name: cmp.Or(c.Mail.Hostname, host), status: status, logger: logger}
	if slices.ContainsFunc(c.Services, Service.hasUsers) {
		if shared.users, err = mailstore.OpenUsers(c.Path(c.Mail.Users), mailstore.UsersOptions{Logger: logger}); err != nil {
			return nil, fmt.Errorf("mail.users: %w", err)
		}
		shared.store = mailstore.NewStore(c.Path(c.Mail.Folder))
		shared.store.SetQuota(mailstore.Quota{Bytes: c.Mail.QuotaBytes, Messages: c.Mail.QuotaMessages})
	}
	if slices.ContainsFunc(c.Services, Service.hasTLS) {
		certFile, keyFile := c.certificate()
		pair, err := certs.Open(certFile, keyFile, logger)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		shared.tls = pair.Config()
	}
	if c.Scan.Address != "" {
		shared.scan, err = scan.New(scan.Options{
			Address:     c.Scan.Address,
			Scanners:    c.Scan.Scanners,
			Queue:       cmp.Or(c.Scan.Queue, -1),
			WaitTimeout: time.Duration(c.Scan.Wait),
			Timeout:     time.Duration(c.Scan.Timeout),
			MaxBytes:    c.Scan.MaxBytes,
		})
	}
	return shared, err
}

func (s Service) hasTLS() bool { return s.TLS != "off" }

// certificate returns the files of the certificate and its key.
func (c *Config) certificate() (certFile, keyFile string) {
	if c.TLS.Cert != "" {
		return c.Path(c.TLS.Cert), c.Path(c.TLS.Key)
	}
	return c.Path("self-signed.pem"), c.Path("self-signed.key")
}

// selfSign makes a certificate if one is needed and none is configured, and
// returns its file if clients will see it.
func (c *Config) selfSign() (certFile string, err error) {
	if c.TLS.Cert != "" || !slices.ContainsFunc(c.Services, Service.hasTLS) {
		return "", nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	certFile, keyFile := c.certificate()
	names := []string{host, "localhost", "127.0.0.1", "::1"}
	if c.Mail.Hostname != "" {
		names = append(names, c.Mail.Hostname)
	}
	_, err = certs.SelfSigned(certFile, keyFile, names, time.Now())
	return certFile, err
}

// newServices builds the services with their protocols.
func (c *Config) newServices(shared *common) ([]server.Service, error) {
	var services []server.Service
	for _, one := range c.Services {
		protocol, err := c.newProtocol(one, shared)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("service %q: %w", one.Name, err), discard(services))
		}
		service := one.settings()
		service.Protocol = protocol
		if one.TLS == "on" {
			service.TLS = shared.tls
			if one.Protocol == "www" {
				service.TLS = www.TLS(shared.tls)
			}
		}
		services = append(services, service)
	}
	return services, nil
}

// settings returns the service as the server knows it, but for what is spoken.
func (s Service) settings() server.Service {
	limits := server.Limits{
		Unproven:     time.Duration(s.Unproven),
		Idle:         time.Duration(s.Idle),
		ProvenIdle:   time.Duration(s.IdleProven),
		StressedIdle: time.Duration(min(s.IdleStressed, s.Idle)),
		StressFrom:   s.StressFrom,
		Stage:        time.Duration(s.Step),
		Write:        time.Duration(s.Write),
		Session:      time.Duration(s.Session),
	}
	for stage, limit := range map[connlog.Stage]Duration{
		connlog.StageGreeting: s.StageLimits.Greeting,
		connlog.StageTLS:      s.StageLimits.TLS,
		connlog.StageLogin:    s.StageLimits.Login,
		connlog.StageCommand:  s.StageLimits.Command,
		connlog.StageData:     s.StageLimits.Data,
		connlog.StageDeliver:  s.StageLimits.Deliver,
		connlog.StageIdle:     s.StageLimits.Idle,
	} {
		limits.Total[stage] = cmp.Or(time.Duration(limit), -1) // Said to be none, not left to the server.
	}
	return server.Service{
		Name:              s.Name,
		Listen:            s.Listen,
		Pool:              s.Pool,
		Threads:           s.Threads,
		UnprovenPerSource: s.UnprovenPerSource,
		SessionsPerSource: s.SessionsPerSource,
		SessionsPerNet:    s.SessionsPerNet,
		ProxyFrom:         prefixes(s.ProxyFrom),
		GreetDelay:        time.Duration(s.GreetDelay),
		Limits:            limits,
	}
}

func prefixes(sources []Source) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(sources))
	for _, s := range sources {
		all = append(all, netip.Prefix(s))
	}
	return all
}
