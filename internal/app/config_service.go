package app

import (
	"net/netip"
	"time"
)

// Service is one service of the server. A setting with the tag only belongs to
// services of that protocol; one with read:"start" waits for a restart.
type Service struct {
	Name     string `toml:"name" doc:"Its name in the log."`
	Protocol string `toml:"protocol" read:"start" doc:"smtp, pop3, imap, www, or proxy for a server behind this one."`
	Listen   string `toml:"listen" doc:"Address and port; [::]:25 is every address of both families."`
	TLS      string `toml:"tls" read:"start" doc:"off; starttls: for clients that ask for it (smtp, pop3, imap); on: from the first byte."`

	Threads           int    `toml:"threads" doc:"Threads: connections served at the same time."`
	Pool              string `toml:"pool" doc:"Services that name the same pool share its threads. Empty: a pool of its own."`
	UnprovenPerSource int    `toml:"unproven_per_source" doc:"Unproven connections one address may hold while half of the threads are held. 0: a tenth of the threads; -1: no limit."`
	SessionsPerSource int    `toml:"sessions_per_source" doc:"Connections of any kind one address (IPv6: one /64) may hold. 0: no limit."`
	SessionsPerNet    int    `toml:"sessions_per_net" doc:"The same for a net: a /24, or a /48 of IPv6. 0: no limit."`

	Idle         Duration `toml:"idle" doc:"An unproven client silent for longer is closed."`
	IdleProven   Duration `toml:"idle_proven" doc:"The same for a proven client."`
	IdleStressed Duration `toml:"idle_stressed" doc:"What idle shrinks to while the last threads are taken, also for who makes no room for an answer."`
	StressFrom   float64  `toml:"stress_from" doc:"The part of the threads from which on it shrinks, and unproven knows no exceptions."`
	Unproven     Duration `toml:"unproven" doc:"A client that has proven nothing for longer is closed, however busy it looks; below stress_from not in the middle of an answer, nor of a message of which 4 KB a second come."`
	Step         Duration `toml:"step" doc:"One command, request or message that takes longer is the end of its connection, however steadily its bytes come."`
	Write        Duration `toml:"write" doc:"How long a client may take to make room for what it is sent."`
	Session      Duration `toml:"session" doc:"A connection older than this is closed. 0s: no limit."`

	ProxyFrom  []Source `toml:"proxy_from" doc:"Peers that tell with the PROXY protocol who their client is. From all others it is an error."`
	GreetDelay Duration `toml:"greet_delay" doc:"How long clients are made to wait for the greeting. One that talks before it has failed."`
	PlainAuth  bool     `toml:"plain_auth" read:"start" doc:"Whether logins without TLS are taken from others than this machine."`

	StageLimits StageLimits `toml:"stage_limits" doc:"How long one connection may be in a stage, all visits together. 0s: no limit."`
	Words       Words       `toml:"words" doc:"What clients are told that are turned away, without the protocol's codes. Empty: the usual words."`

	SMTP  SMTP  `toml:"smtp" read:"start" only:"smtp" doc:"Only for the protocol smtp."`
	IMAP  IMAP  `toml:"imap" read:"start" only:"imap" doc:"Only for the protocol imap."`
	WWW   WWW   `toml:"www" read:"start" only:"www" doc:"Only for the protocol www."`
	Proxy Proxy `toml:"proxy" read:"start" only:"proxy" doc:"Only for the protocol proxy."`
}

// StageLimits bound the time of a connection in each stage that its client can
// stretch.
type StageLimits struct {
	Greeting Duration `toml:"greeting" doc:"Until the client says its first word."`
	TLS      Duration `toml:"tls" doc:"The handshake."`
	Login    Duration `toml:"login" doc:"Logging in."`
	Command  Duration `toml:"command" doc:"Sending commands or requests."`
	Data     Duration `toml:"data" doc:"Sending messages or bodies."`
	Deliver  Duration `toml:"deliver" doc:"Taking what it asked for."`
	Idle     Duration `toml:"idle" doc:"Saying nothing."`
}

// Words are what clients are told that are turned away.
type Words struct {
	Busy        string `toml:"busy" doc:"No thread is free."`
	Sessions    string `toml:"sessions" doc:"Its address holds too many."`
	Banned      string `toml:"banned" doc:"Its address is banned."`
	BanSilently bool   `toml:"ban_silently" doc:"Whether a banned client is told nothing at all."`
}

// SMTP are the settings of the protocol smtp.
type SMTP struct {
	MaxMessageBytes int64 `toml:"max_message_bytes" doc:"The largest message."`
	MaxRecipients   int   `toml:"max_recipients" doc:"Recipients of one message."`
	RequireAuth     bool  `toml:"require_auth" doc:"Whether every sender must log in, as on a submission port."`
	FixLineEnds     bool  `toml:"fix_line_ends" doc:"Whether a bare CR or LF in a message is made a line end; otherwise the message is refused."`
	Relay           Relay `toml:"relay" doc:"A server that takes mail for other domains. A message is accepted when it has accepted it."`
}

// Relay is an upstream mail server.
type Relay struct {
	Address      string   `toml:"address" doc:"host:port, or unix:/path. Empty: nothing is relayed."`
	LMTP         bool     `toml:"lmtp" doc:"Whether it speaks LMTP."`
	TLS          string   `toml:"tls" doc:"off, opportunistic, or required."`
	User         string   `toml:"user" doc:"Who logs in there, if it wants a login."`
	PasswordFile string   `toml:"password_file" doc:"File with the password for it, on its first line."`
	Domains      []string `toml:"domains" doc:"Domains whose mail is passed on for everybody."`
	ForUsers     bool     `toml:"for_users" doc:"Whether mail for all other domains is passed on for who has logged in."`
}

// IMAP are the settings of the protocol imap.
type IMAP struct {
	MaxMessageBytes int64 `toml:"max_message_bytes" doc:"The largest message that a client may append."`
}

// WWW are the settings of the protocol www.
type WWW struct {
	Root         string   `toml:"root" doc:"Folder of the files. Empty: a page that says the server runs."`
	Upstream     string   `toml:"upstream" doc:"A server that answers instead: http://host:port."`
	UpstreamTime Duration `toml:"upstream_time" doc:"How long it may be silent when it is to answer."`
	MaxBodyBytes int64    `toml:"max_body_bytes" doc:"The largest body of a request that is passed to it."`
	StatusFrom   []Source `toml:"status_from" doc:"Who may see /status."`
}

// Proxy are the settings of the protocol proxy.
type Proxy struct {
	Upstream    string   `toml:"upstream" doc:"The server behind: host:port or unix:/path."`
	Speaks      string   `toml:"speaks" doc:"What is spoken: smtp, pop3, imap, http, or tcp for anything else."`
	ProxyHeader int      `toml:"proxy_header" doc:"Version of the PROXY protocol that tells it the client's address: 1, 2, or 0 for none."`
	ProveTurns  int      `toml:"prove_turns" doc:"Where nothing else shows it, a client is proven when it has spoken and was answered this many times. TLS takes up to 3, SSH 6 before the login. 0: never."`
	ProveBytes  int64    `toml:"prove_bytes" doc:"Or when it was answered this many bytes. 0: never."`
	Connect     Duration `toml:"connect" doc:"How long a connection to it may take."`
	Reply       Duration `toml:"reply" doc:"How long it may be silent when it is to answer."`
}

// protocols are the names that a service's protocol can have, and what differs
// in their defaults.
var protocols = map[string]struct {
	tls                    string
	idle, idleProven, step time.Duration
}{
	"smtp": {"starttls", 2 * time.Minute, 5 * time.Minute, 10 * time.Minute},  // RFC 5321, 4.5.3.2.7.
	"pop3": {"starttls", 2 * time.Minute, 10 * time.Minute, 10 * time.Minute}, // RFC 1939, 3.
	"imap": {"starttls", 2 * time.Minute, 31 * time.Minute, 10 * time.Minute}, // RFC 9051, 5.4.
	// A browser has its request ready when it connects.
	"www":   {"off", 20 * time.Second, time.Minute, 5 * time.Minute},
	"proxy": {"off", 2 * time.Minute, 31 * time.Minute, 10 * time.Minute}, // Whatever is behind it has its own.
}

// defaultService returns the settings of a service of a protocol.
func defaultService(protocol string) Service {
	known := protocols[protocol]
	return Service{
		Protocol:     protocol,
		TLS:          known.tls,
		Threads:      100,
		Idle:         Duration(known.idle),
		IdleProven:   Duration(known.idleProven),
		IdleStressed: Duration(10 * time.Second),
		StressFrom:   0.8,
		Unproven:     Duration(5 * time.Minute),
		Step:         Duration(known.step),
		Write:        Duration(30 * time.Second),
		StageLimits:  StageLimits{TLS: Duration(10 * time.Second), Login: Duration(2 * time.Minute)},
		SMTP: SMTP{
			MaxMessageBytes: 25 << 20, MaxRecipients: 100,
			Relay: Relay{TLS: "opportunistic", ForUsers: true},
		},
		IMAP: IMAP{MaxMessageBytes: 25 << 20},
		WWW: WWW{
			UpstreamTime: Duration(time.Minute), MaxBodyBytes: 32 << 20,
			StatusFrom: []Source{Source(netip.MustParsePrefix("127.0.0.0/8")), Source(netip.MustParsePrefix("::1/128"))},
		},
		Proxy: Proxy{Speaks: "tcp", ProveTurns: 4, ProveBytes: 16 << 10, Connect: Duration(10 * time.Second), Reply: Duration(5 * time.Minute)},
	}
}
