package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"overstay/connlog"
	"overstay/detector"
	"overstay/server"
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
	// Live is called when the detector has read the log's past, once for each
	// time it starts.
	Live func(detector.Stats)

	// Reload says when the configuration is to be read again, and Load how.
	Reload <-chan struct{}
	Load   func() (*Config, error)
	// Reloaded is told what came of it.
	Reloaded func(Reloaded)
}

// Running is a server that listens.
type Running struct {
	Config   *Config
	Services []server.ServiceStatus
	Bans     int // in force
	// Password is the file with the password of the first user, if this start
	// made one.
	Password string
	// SelfSigned is the file of the certificate if it is one that overstay
	// made for itself.
	SelfSigned string
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
	password, err := cfg.firstUser(ctx)
	if err != nil {
		return err
	}
	selfSigned, err := cfg.selfSign()
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
		o.Ready(Running{
			Config: cfg, Services: s.Status().Services, Bans: list.Size(), Password: password, SelfSigned: selfSigned,
		})
	}
	r := &run{started: cfg, config: cfg, server: s, list: list, options: o}
	return r.serve(ctx)
}
