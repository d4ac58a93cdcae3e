//go:build !linux

package traffic

import "syscall"

// latePort does nothing where the system has no such option.
func latePort(_, _ string, _ syscall.RawConn) error { return nil }
