package formats

import (
	"time"
)

// jsonFormat is a Format of a log of JSON objects.
func jsonFormat(name, meaning string, gives Gives, log *jsonLog) Format {
	return Format{Name: name, Meaning: meaning, Gives: gives,
		read: func(p *Parser, line []byte) error {
			return p.unwrapped(line, func(line []byte) error { return p.jsonVisit(log, line) })
		}}
}

const eachRequest = "each request is a connection, known when it is answered"

// nginxJSONFormat is an nginx log_format that writes JSON, with the names of
// nginx's variables as keys.
func nginxJSONFormat() Format {
	return jsonFormat("nginx-json", "nginx access log as JSON, keys named as nginx's variables",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Millisecond,
			Note: eachRequest + "; durations if there is request_time, milliseconds if there is msec"},
		&jsonLog{service: "www", keys: []jsonKey{
			{path: "remote_addr", role: roleAddr},
			{path: "remote_port", role: rolePort},
			{path: "msec", role: roleEndFine},
			{path: "time", role: roleEnd},
			{path: "time_iso8601", role: roleEnd},
			{path: "request_time", role: roleTook, unit: 1},
			{path: "status", role: roleStatus},
			{path: "remote_user", role: roleUser},
			{path: "request", role: roleRequest},
			{path: "request_completion", role: roleWhole},
			{path: "bytes", role: roleOut},
			{path: "bytes_sent", role: roleOut},
			{path: "body_bytes_sent", role: roleOut},
		}})
}

// caddyFormat is Caddy's access log. The address is the peer's: the one that
// Caddy makes of forwarded headers is trusted only where Caddy was told to.
func caddyFormat() Format {
	return jsonFormat("caddy", "Caddy's access log as JSON",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachRequest},
		&jsonLog{service: "www", keys: []jsonKey{
			{path: "msg", role: roleOnly, want: "handled request"},
			{path: "ts", role: roleEnd},
			{path: "request.remote_ip", role: roleAddr},
			{path: "request.remote_port", role: rolePort},
			{path: "duration", role: roleTook, unit: 1},
			{path: "status", role: roleStatus},
			{path: "user_id", role: roleUser},
			{path: "bytes_read", role: roleIn},
			{path: "size", role: roleOut},
		}})
}

// traefikFormat is Traefik's access log as JSON. The address is that of the
// peer: ClientHost may be what a client wrote into a header.
func traefikFormat() Format {
	return jsonFormat("traefik", "Traefik's access log as JSON",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Microsecond, Note: eachRequest},
		&jsonLog{service: "www", keys: []jsonKey{
			{path: "StartUTC", role: roleBegin},
			{path: "ClientAddr", role: rolePeer},
			{path: "Duration", role: roleTook, unit: 1e-9},
			{path: "DownstreamStatus", role: roleStatus},
			{path: "ClientUsername", role: roleUser},
			{path: "RequestContentSize", role: roleIn},
			{path: "DownstreamContentSize", role: roleOut},
		}})
}

// envoyFormat is Envoy's access log as JSON, with the names that its default
// and Istio use.
func envoyFormat() Format {
	log := &jsonLog{service: "www", keys: []jsonKey{
		{path: "start_time", role: roleBegin},
		{path: "downstream_remote_address", role: rolePeer},
		{path: "duration", role: roleTook, unit: 1e-3},
		{path: "response_code", role: roleStatus},
		{path: "bytes_received", role: roleIn},
		{path: "bytes_sent", role: roleOut},
	}}
	return jsonFormat("envoy", "Envoy's access log as JSON",
		Gives{Opens: true, Durations: true, Outcomes: true, Clock: time.Millisecond, Note: eachRequest}, log)
}
