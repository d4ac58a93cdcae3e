package app

import (
	"path/filepath"
	"time"
)

// Config is the whole configuration. The text beside each field (doc) makes
// the example file; a field that is absent from a file keeps its default.
type Config struct {
	State string `toml:"state" read:"start" doc:"Folder for all that overstay writes. Relative paths below are relative to it."`

	Log      Log       `toml:"log" read:"start" doc:"The connection log: what the server writes and the detector reads."`
	List     List      `toml:"list" doc:"The banned-host list that all processes share."`
	Detector Detector  `toml:"detector" doc:"Who decides on bans."`
	Policies []Policy  `toml:"policy" doc:"When to ban. A policy named as a default one changes the settings of it that it names; others are added."`
	Mail     Mail      `toml:"mail" read:"start" doc:"Users and their mail."`
	TLS      TLS       `toml:"tls" read:"start" doc:"The certificate."`
	Scan     Scan      `toml:"scan" read:"start" doc:"The virus scanner."`
	Services []Service `toml:"service" doc:"What the server serves. Without any, smtp, pop3, imap and www run on unprivileged ports of the loopback address."`
}

// Log says where the connection log is and how much of it is kept.
type Log struct {
	Path     string   `toml:"path" doc:"The log file."`
	MaxBytes int64    `toml:"max_bytes" doc:"Rotate when the file is this large."`
	MaxAge   Duration `toml:"max_age" doc:"Rotate when the file is this old."`
	Keep     int      `toml:"keep" doc:"Rotated files to keep, compressed."`
}

// List says where the banned-host list is.
type List struct {
	Path  string   `toml:"path" read:"start" doc:"The database file."`
	Allow []Source `toml:"allow" doc:"Addresses and prefixes that are never banned, beside those of the command allow."`
}

// Detector holds what is common to all policies.
type Detector struct {
	Enabled         bool     `toml:"enabled" doc:"Whether serve runs a detector of its own. Turn it off to run detect beside it."`
	Action          string   `toml:"action" doc:"policy: each policy does its own action. suggest: nothing is banned without a person's approval."`
	DefaultPolicies bool     `toml:"default_policies" doc:"Whether the built-in policies are in force."`
	ReadBack        Duration `toml:"read_back" doc:"How much of the log is read again at a start, so that the averages are true."`
	MaxSources      int      `toml:"max_sources" doc:"How many sources that hold no thread are remembered."`
	BansPerMinute   int      `toml:"bans_per_minute" doc:"More new bans than this in a minute become suggestions."`
	NetV4           int      `toml:"net_v4" doc:"How many leading bits the addresses of an IPv4 net share: 24 for a /24."`
	NetV6           int      `toml:"net_v6" doc:"The same for IPv6."`
	MaxNets         int      `toml:"max_nets" doc:"How many nets are remembered in which nobody holds a thread."`
}

// Policy is one rule: when to suggest or make a ban, and for how long.
type Policy struct {
	Name     string    `toml:"name" doc:"Its name, in decisions and evidence."`
	When     Condition `toml:"when" doc:"The condition; docs/policies.md lists the figures it can use."`
	Level    string    `toml:"level" doc:"Whom it judges. address: single addresses (IPv6: a /64); net: nets of the lengths of detector.net_v4 and net_v6, in which two addresses or more hold threads."`
	For      Duration  `toml:"for" doc:"How long the condition must hold before the decision."`
	Action   string    `toml:"action" doc:"ban, suggest, or off."`
	Duration Duration  `toml:"duration" doc:"How long the first ban lasts."`
	Factor   float64   `toml:"factor" doc:"Each earlier ban within memory makes the next one this many times as long."`
	Max      Duration  `toml:"max" doc:"The longest ban that the factor can make."`
	Memory   Duration  `toml:"memory" doc:"How long an earlier ban counts."`
	Averts   bool      `toml:"averts" doc:"Decide only where the ban would avert refusals: about who has a part in those of the last minute."`
	Pools    []string  `toml:"pools" doc:"The pools it watches; none means all."`
	Services []string  `toml:"services" doc:"The services that its bans are for; none means all."`

	ProvenNets bool `toml:"proven_nets" doc:"Decide also about a net in which an address has proven itself within a day."`
}

// Mail says where the users are and their mail, which smtp, pop3 and imap
// share.
type Mail struct {
	Hostname      string   `toml:"hostname" doc:"This server's name in greetings. Empty: the machine's."`
	Domains       []string `toml:"domains" doc:"Domains whose mail is for the users here."`
	Users         string   `toml:"users" doc:"User file: name:bcrypt-hash, a user a line (overstay user)."`
	Folder        string   `toml:"folder" doc:"Folder of the Maildirs."`
	QuotaBytes    int64    `toml:"quota_bytes" doc:"How much mail one user may have. 0: no limit."`
	QuotaMessages int      `toml:"quota_messages" doc:"How many messages one user may have. 0: no limit."`
}

// TLS names the certificate of the server.
type TLS struct {
	Cert string `toml:"cert" doc:"Certificate with its chain, PEM. Read again when it changes. Empty: a self-signed one is made."`
	Key  string `toml:"key" doc:"Its key, PEM."`
}

// Scan says who looks for viruses in what smtp receives.
type Scan struct {
	Address   string   `toml:"address" doc:"clamd: unix:/path or host:port. Empty: nothing is scanned."`
	Scanners  int      `toml:"scanners" doc:"Messages scanned at the same time."`
	Queue     int      `toml:"queue" doc:"Messages that may wait for a scanner."`
	Wait      Duration `toml:"wait" doc:"How long one may wait for it."`
	Timeout   Duration `toml:"timeout" doc:"How long one scan may take."`
	MaxBytes  int64    `toml:"max_bytes" doc:"The largest message that is scanned; at most clamd's StreamMaxLength."`
	OnFailure string   `toml:"on_failure" doc:"What happens to a message that cannot be scanned now. refuse: the client is told to try later; pass: it is delivered with a header that says so."`
	Oversize  string   `toml:"oversize" doc:"What happens to one that is too large to be scanned. refuse: it is not taken; pass: as above."`
}

// Default returns the configuration of a server without a file.
func Default() *Config {
	c := &Config{
		State: "overstay-data",
		Log:   Log{Path: "connections.log", MaxBytes: 256 << 20, MaxAge: Duration(24 * time.Hour), Keep: 30},
		List:  List{Path: "bans.db"},
		Detector: Detector{
			Enabled: true, Action: "policy", DefaultPolicies: true, ReadBack: Duration(6 * time.Hour),
			MaxSources: 100_000, BansPerMinute: 300, NetV4: 24, NetV6: 48, MaxNets: 4096,
		},
		Mail: Mail{Domains: []string{"localhost"}, Users: "users", Folder: "mail"},
		Scan: Scan{
			Scanners: 4, Queue: 100, Wait: Duration(time.Minute), Timeout: Duration(2 * time.Minute),
			MaxBytes: 25 << 20, OnFailure: "refuse", Oversize: "refuse",
		},
	}
	for _, s := range []struct{ name, protocol, listen, pool, tls string }{
		{"smtp", "smtp", "127.0.0.1:2525", "", "starttls"},
		{"pop3", "pop3", "127.0.0.1:2110", "", "starttls"},
		{"imap", "imap", "127.0.0.1:2143", "", "starttls"},
		{"www", "www", "127.0.0.1:8080", "", "off"},
		{"https", "www", "127.0.0.1:8443", "www", "on"},
	} {
		service := defaultService(s.protocol)
		service.Name, service.Listen, service.Pool, service.TLS = s.name, s.listen, s.pool, s.tls
		c.Services = append(c.Services, service)
	}
	return c
}

// Path returns path, or path within the state folder where it is relative.
func (c *Config) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.State, path)
}
