package app

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"overstay/banlist"
	"overstay/server"
)

// run is a server at work, with what runs beside it.
type run struct {
	started *Config // what it was started with
	config  *Config // what is in force
	server  *server.Server
	list    *banlist.List
	options ServeOptions
}

// serve runs what runs beside the server until the server has stopped. What the
// detector has not read by then it reads at the next start.
func (r *run) serve(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() { r.evict(beside) })
	parts.Go(func() { r.detectAndReload(beside) })
	parts.Go(func() { watchdog(beside, r.server) })
	parts.Go(func() { r.renew(beside) })
	parts.Go(func() {
		select {
		case <-ctx.Done():
		case <-beside.Done(): // The server ended by itself.
		}
		notify(daemon.SdNotifyStopping)
	})
	notify(daemon.SdNotifyReady)
	return r.server.Serve(ctx)
}

// renew keeps the certificate good that the server has made for itself: who
// presents it sees that the files have changed.
func (r *run) renew(ctx context.Context) {
	day := time.NewTicker(24 * time.Hour)
	defer day.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-day.C:
			if _, err := r.started.selfSign(); err != nil {
				r.options.Logger.Error("certificate not renewed", "error", err)
			}
		}
	}
}

// evict ends the sessions of who is banned, at each change of the list.
func (r *run) evict(ctx context.Context) {
	for range r.list.Watch(ctx) {
		if ended := r.server.Recheck(); ended > 0 {
			r.options.Logger.Info("sessions of banned sources ended", "sessions", ended)
		}
	}
}

// detectAndReload runs the detector, and starts it anew when its settings
// change: it reads the log back then, as after any start.
func (r *run) detectAndReload(ctx context.Context) {
	stop := r.startDetector(ctx)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.options.Reload:
		}
		notifyReloading()
		before := r.config
		result := r.reload(ctx)
		if !before.decidesAs(r.config) {
			stop()
			stop = r.startDetector(ctx)
		}
		notify(daemon.SdNotifyReady)
		if r.options.Reloaded != nil {
			r.options.Reloaded(result)
		}
	}
}

func (r *run) reload(ctx context.Context) Reloaded {
	next, err := r.options.Load()
	if err != nil {
		return Reloaded{Err: err}
	}
	result := next.reload(ctx, r.started, r.server, r.list, r.options.Logger)
	if result.Err == nil {
		r.config = next
	}
	return result
}

// decidesAs tells whether a detector with the settings of other decides as one
// with these.
func (c *Config) decidesAs(other *Config) bool {
	return reflect.DeepEqual(c.Detector, other.Detector) && reflect.DeepEqual(c.Policies, other.Policies) &&
		reflect.DeepEqual(c.trusted(), other.trusted())
}

// startDetector starts the detector, if the configuration wants one, and
// returns what ends it.
func (r *run) startDetector(ctx context.Context) (stop func()) {
	if !r.config.Detector.Enabled {
		return func() {}
	}
	config := r.config
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		o := r.options
		options := DetectOptions{Logger: o.Logger, Decided: o.Decided, Live: o.Live}
		if err := config.detect(ctx, r.list, config.Path(config.Log.Path), options); err != nil {
			// The server is worth more than its detector.
			o.Logger.Error("the detector has stopped, the server goes on", "error", err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}
