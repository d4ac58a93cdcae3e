package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"overstay/banlist"
	"overstay/server"
)

// Reloaded is what a reload of the configuration did.
type Reloaded struct {
	// Err is why the old settings remain, all of them; nil if the new ones are
	// in force.
	Err error
	// Restart says which of the new settings wait for a restart.
	Restart []string
}

// reload takes over what can be changed while the server runs: the limits and
// words of services, the policies, and the allow list. The rest of c is made
// what it was when the server started, and named.
func (c *Config) reload(ctx context.Context, started *Config, s *server.Server, list *banlist.List, logger *slog.Logger) Reloaded {
	restart := c.keep(started)
	shared, err := c.newCommon(s.Status, logger)
	if err != nil {
		return Reloaded{Err: err}
	}
	services, err := c.newServices(shared)
	if err != nil {
		return Reloaded{Err: err}
	}
	// They are asked for their words and serve nobody; the running ones stay.
	defer func() { _ = discard(services) }()
	// What can fail comes first, so that all of it is taken over or nothing.
	if _, err := server.New(server.Options{Services: services}); err != nil {
		return Reloaded{Err: err}
	}
	if err := errors.Join(c.allow(ctx, list), c.disallow(ctx, list)); err != nil {
		return Reloaded{Err: err}
	}
	more, err := s.Configure(services)
	return Reloaded{Err: err, Restart: append(restart, more...)}
}

// discard closes protocols that never served.
func discard(services []server.Service) error {
	var errs []error
	for _, one := range services {
		errs = append(errs, one.Protocol.Shutdown(context.Background())) // Nothing to wait for.
	}
	return errors.Join(errs...)
}

// keep takes back the settings that are only read at a start, and names those
// that had changed.
func (c *Config) keep(started *Config) []string {
	changed := keep("", reflect.ValueOf(c).Elem(), reflect.ValueOf(started).Elem())
	for i := range c.Services {
		for j := range started.Services {
			now, then := &c.Services[i], &started.Services[j]
			if now.Name == then.Name {
				changed = append(changed, keep(fmt.Sprintf("service %q: ", now.Name), reflect.ValueOf(now).Elem(), reflect.ValueOf(then).Elem())...)
			}
		}
	}
	return changed
}

// keep gives the fields with the tag read:"start" the values they had.
func keep(prefix string, now, then reflect.Value) []string {
	var changed []string
	for i := range now.NumField() {
		field := now.Type().Field(i)
		name := prefix + field.Tag.Get("toml")
		switch {
		case field.Tag.Get("read") != "start":
			if field.Type.Kind() == reflect.Struct && isTable(field.Type) {
				changed = append(changed, keep(name+".", now.Field(i), then.Field(i))...)
			}
		case !reflect.DeepEqual(now.Field(i).Interface(), then.Field(i).Interface()):
			now.Field(i).Set(then.Field(i))
			changed = append(changed, name+" has changed")
		}
	}
	return changed
}

// watchdog tells systemd, if it asked for that, that the server still answers.
func watchdog(ctx context.Context, s *server.Server) {
	every := watchdogInterval()
	if every == 0 {
		return
	}
	t := time.NewTicker(every / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = s.Status() // It takes every lock that admission does.
			notify("WATCHDOG=1")
		}
	}
}
