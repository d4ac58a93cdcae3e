package app

import (
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"overstay/server"
)

// notify tells the service manager how the server is (sd_notify(3)). Without a
// manager that asked for it, it does nothing.
func notify(state string) {
	_, _ = daemon.SdNotify(false, state) // The manager's loss.
}

// notifyReloading tells the manager that a reload has begun; READY=1 ends it.
func notifyReloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
	}
}

func watchdogInterval() time.Duration {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0 // Not meant for us.
	}
	return every
}

// inherit gives services the sockets that the process was started with
// (sd_listen_fds(3)): by the socket's name, else by the address it is bound to.
// A socket that belongs to no service is an error, as its clients would wait
// for ever.
func inherit(services []server.Service) error {
	for _, file := range activation.Files(true) {
		l, err := net.FileListener(file)
		if err != nil {
			return fmt.Errorf("inherited sockets: %q: %w", file.Name(), err)
		}
		_ = file.Close() // The listener has a descriptor of its own.
		if !give(l, file.Name(), services) {
			return fmt.Errorf("inherited sockets: %q on %s is of no service that has none yet", file.Name(), l.Addr())
		}
	}
	return nil
}

func give(l net.Listener, name string, services []server.Service) bool {
	for _, same := range []func(s *server.Service) bool{
		func(s *server.Service) bool { return s.Name == name },
		func(s *server.Service) bool { return s.Listen == l.Addr().String() },
	} {
		for i := range services {
			if s := &services[i]; s.Listener == nil && same(s) {
				s.Listener = l
				return true
			}
		}
	}
	return false
}
