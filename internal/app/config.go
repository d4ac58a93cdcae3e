package app

import (
	"net/netip"
	"path/filepath"
	"time"
)

// Config is the whole configuration. The text beside each field (doc) makes
// the example file; a field that is absent from a file keeps its default.
type Config struct {
	State string `toml:"state" doc:"Folder for all that overstay writes. Relative paths below are relative to it."`

	Log      Log       `toml:"log" doc:"The connection log: what the server writes and the detector reads."`
	List     List      `toml:"list" doc:"The banned-host list that all processes share."`
	Detector Detector  `toml:"detector" doc:"Who decides on bans."`
	Policies []Policy  `toml:"policy" doc:"When to ban. A policy named as a default one replaces it; others are added."`
	Services []Service `toml:"service" doc:"What the server serves. Without any, smtp and www run on unprivileged ports of the loopback address."`
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
	Path  string   `toml:"path" doc:"The database file."`
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
}

// Policy is one rule: when to suggest or make a ban, and for how long.
type Policy struct {
	Name     string    `toml:"name" doc:"Its name, in decisions and evidence."`
	When     Condition `toml:"when" doc:"The condition; docs/policies.md lists the figures it can use."`
	For      Duration  `toml:"for" doc:"How long the condition must hold before the decision."`
	Action   string    `toml:"action" doc:"ban, suggest, or off."`
	Duration Duration  `toml:"duration" doc:"How long the first ban lasts."`
	Factor   float64   `toml:"factor" doc:"Each earlier ban within memory makes the next one this many times as long."`
	Max      Duration  `toml:"max" doc:"The longest ban that the factor can make."`
	Memory   Duration  `toml:"memory" doc:"How long an earlier ban counts."`
	Pools    []string  `toml:"pools" doc:"The pools it watches; none means all."`
	Services []string  `toml:"services" doc:"The services that its bans are for; none means all."`
}

// Service is one service of the server.
type Service struct {
	Name              string   `toml:"name" doc:"Its name in the log."`
	Protocol          string   `toml:"protocol" doc:"smtp or www."`
	Listen            string   `toml:"listen" doc:"Address and port; [::]:25 is every address of both families."`
	Threads           int      `toml:"threads" doc:"Threads: connections served at the same time."`
	Pool              string   `toml:"pool" doc:"Services that name the same pool share its threads. Empty: a pool of its own."`
	UnprovenPerSource int      `toml:"unproven_per_source" doc:"Unproven connections one address may hold while half of the threads are held. 0: a tenth of the threads; -1: no limit."`
	SessionsPerSource int      `toml:"sessions_per_source" doc:"Connections of any kind one address may hold. 0: no limit."`
	Idle              Duration `toml:"idle" doc:"A client silent for longer is closed."`
	Unproven          Duration `toml:"unproven" doc:"A client that has proven nothing for longer is closed, however busy it looks."`

	SMTP SMTP `toml:"smtp" doc:"Only for the protocol smtp."`
	WWW  WWW  `toml:"www" doc:"Only for the protocol www."`
}

// SMTP are the settings of the protocol smtp.
type SMTP struct {
	Hostname        string   `toml:"hostname" doc:"Its name in the greeting. Empty: the machine's."`
	Domains         []string `toml:"domains" doc:"Domains it takes mail for."`
	Users           string   `toml:"users" doc:"User file: name:bcrypt-hash, a user a line, as htpasswd -B writes it."`
	Mail            string   `toml:"mail" doc:"Folder of the Maildirs."`
	MaxMessageBytes int64    `toml:"max_message_bytes" doc:"The largest message."`
	MaxRecipients   int      `toml:"max_recipients" doc:"Recipients of one message."`
	PlainAuth       bool     `toml:"plain_auth" doc:"Whether a login without TLS is offered to others than this machine."`
}

// WWW are the settings of the protocol www.
type WWW struct {
	Root       string   `toml:"root" doc:"Folder of the files. Empty: a page that says the server runs."`
	StatusFrom []Source `toml:"status_from" doc:"Who may see /status."`
}

// Default returns the configuration of a server without a file.
func Default() *Config {
	c := &Config{
		State:    "overstay-data",
		Log:      Log{Path: "connections.log", MaxBytes: 256 << 20, MaxAge: Duration(24 * time.Hour), Keep: 30},
		List:     List{Path: "bans.db"},
		Detector: Detector{Enabled: true, Action: "policy", DefaultPolicies: true, ReadBack: Duration(6 * time.Hour), MaxSources: 100_000, BansPerMinute: 300},
	}
	for _, s := range []struct{ name, listen string }{{"smtp", "127.0.0.1:2525"}, {"www", "127.0.0.1:8080"}} {
		service := defaultService()
		service.Name, service.Protocol, service.Listen = s.name, s.name, s.listen
		c.Services = append(c.Services, service)
	}
	return c
}

func defaultService() Service {
	return Service{
		Threads:  100,
		Idle:     Duration(2 * time.Minute),
		Unproven: Duration(5 * time.Minute),
		SMTP: SMTP{
			Domains: []string{"localhost"}, Users: "users", Mail: "mail",
			MaxMessageBytes: 25 << 20, MaxRecipients: 100,
		},
		WWW: WWW{StatusFrom: []Source{Source(netip.MustParsePrefix("127.0.0.0/8")), Source(netip.MustParsePrefix("::1/128"))}},
	}
}

// Path returns path, or path within the state folder where it is relative.
func (c *Config) Path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.State, path)
}
