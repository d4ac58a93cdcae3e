package server

import "overstay/connlog"

// The writer of the connection log is what the server writes to.
var _ Log = (*connlog.Writer)(nil)
