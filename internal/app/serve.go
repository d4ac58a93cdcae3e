package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/detector"
	"overstay/server"
	"overstay/server/mailstore"
	"overstay/server/smtp"
	"overstay/server/www"
)

// Version of the program, as it stands in the log and in the command version.
const Version = "0.1.0"

// ServeOptions say who is told what Serve does.
type ServeOptions struct {
	Logger *slog.Logger
	// Ready is called once, when every service listens.
	Ready func(Running)
	// Decided is told of each decision that says something new.
	Decided func(Decided)
	// Live is called once, when the detector has read the log's past.
	Live func(detector.Stats)
}

// Running is a server that listens.
type Running struct {
	Config   *Config
	Services []server.ServiceStatus
	Bans     int // in force
	// Password is the file with the password of the first user, if this start
	// made one.
	Password string
}

// Serve runs the server, and beside it the detector if the configuration wants
// one, until ctx ends. The parts stop in the reverse order of their start.
func Serve(ctx context.Context, cfg *Config, o ServeOptions) error {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.State, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	password, err := cfg.firstUser()
	if err != nil {
		return err
	}
	list, err := cfg.openList(ctx, o.Logger)
	if err != nil {
		return err
	}
	defer closing(o.Logger, "list", list.Close)
	if err := cfg.disallow(ctx, list); err != nil {
		return err
	}
	var det *detector.Detector
	if cfg.Detector.Enabled {
		if det, err = cfg.newDetector(ctx, list); err != nil {
			return err
		}
	}
	log, err := connlog.OpenWriter(cfg.Path(cfg.Log.Path), connlog.WriterOptions{
		MaxBytes: cfg.Log.MaxBytes,
		MaxAge:   time.Duration(cfg.Log.MaxAge),
		Keep:     cfg.Log.Keep,
		Logger:   o.Logger,
	})
	if err != nil {
		return err
	}
	defer closing(o.Logger, "connection log", log.Close)
	s, err := cfg.newServer(list, log, o.Logger)
	if err != nil {
		return err
	}
	if err := s.Listen(); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(Running{Config: cfg, Services: s.Status().Services, Bans: list.Size(), Password: password})
	}
	return cfg.serve(ctx, s, det, list, o)
}

// serve runs what runs beside the server until the server has stopped. What the
// detector has not read by then it reads at the next start.
func (c *Config) serve(ctx context.Context, s *server.Server, det *detector.Detector, list *banlist.List, o ServeOptions) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() {
		for range list.Watch(beside) {
			if ended := s.Recheck(); ended > 0 {
				o.Logger.Info("sessions of banned sources ended", "sessions", ended)
			}
		}
	})
	if det != nil {
		parts.Go(func() {
			options := DetectOptions{Logger: o.Logger, Decided: o.Decided, Live: o.Live}
			if err := detect(beside, c, det, list, c.Path(c.Log.Path), options); err != nil {
				// The server is worth more than its detector.
				o.Logger.Error("the detector has stopped, the server goes on", "error", err)
			}
		})
	}
	return s.Serve(ctx)
}

// newServer builds the server that the configuration describes.
func (c *Config) newServer(list *banlist.List, log *connlog.Writer, logger *slog.Logger) (*server.Server, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	// The status page shows the server that it is a part of.
	var s *server.Server
	status := func() server.Status { return s.Status() }

	var services []server.Service
	for _, one := range c.Services {
		protocol, err := c.newProtocol(one, status, logger)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", one.Name, err)
		}
		services = append(services, server.Service{
			Name:              one.Name,
			Listen:            one.Listen,
			Pool:              one.Pool,
			Threads:           one.Threads,
			UnprovenPerSource: one.UnprovenPerSource,
			SessionsPerSource: one.SessionsPerSource,
			Limits:            server.Limits{Unproven: time.Duration(one.Unproven), Idle: time.Duration(one.Idle)},
			Protocol:          protocol,
		})
	}
	s, err = server.New(server.Options{
		Services: services,
		Banned:   list,
		Log:      log,
		Logger:   logger,
		Version:  Version,
		Host:     host,
	})
	return s, err
}

func (c *Config) newProtocol(s Service, status func() server.Status, logger *slog.Logger) (server.Protocol, error) {
	if s.Protocol == "www" {
		from := make([]netip.Prefix, 0, len(s.WWW.StatusFrom))
		for _, p := range s.WWW.StatusFrom {
			from = append(from, netip.Prefix(p))
		}
		return www.New(www.Options{Root: c.Path(s.WWW.Root), Status: status, StatusFrom: from, Logger: logger})
	}
	users, err := mailstore.OpenUsers(c.Path(s.SMTP.Users), mailstore.UsersOptions{Logger: logger})
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return smtp.New(smtp.Options{
		Hostname:        cmp.Or(s.SMTP.Hostname, host),
		Domains:         s.SMTP.Domains,
		Users:           users,
		Store:           smtp.Maildirs{Store: mailstore.NewStore(c.Path(s.SMTP.Mail))},
		MaxMessageBytes: s.SMTP.MaxMessageBytes,
		MaxRecipients:   s.SMTP.MaxRecipients,
		AllowPlainAuth:  s.SMTP.PlainAuth,
		Logger:          logger,
	})
}
