package proxy

import (
	"cmp"
	"fmt"
	"net/http"

	"overstay/connlog"
	"overstay/server"
)

// What a client is told, without the protocol's codes.
const (
	busyText     = "Too busy, please try later"
	sessionsText = "Too many sessions from your address"
	bannedText   = "Your address is banned"
	failedText   = "The server behind is not available, please try later"
	stoppingText = "Service shutting down"
)

// retryAfter is when an HTTP client may come back, in seconds.
const retryAfter = 10

// refusal returns what a client is told that is turned away.
func refusal(speaks string, r connlog.Reason, w server.Words) []byte {
	switch r {
	case connlog.RefuseBusy:
		return say(speaks, "421 4.3.2", "SYS/TEMP", "UNAVAILABLE", http.StatusServiceUnavailable, cmp.Or(w.Busy, busyText))
	case connlog.RefuseSessions:
		return say(speaks, "421 4.7.0", "IN-USE", "LIMIT", http.StatusTooManyRequests, cmp.Or(w.Sessions, sessionsText))
	}
	if w.BanSilently {
		return nil
	}
	return say(speaks, "554 5.7.1", "SYS/PERM", "NOPERM", http.StatusForbidden, cmp.Or(w.Banned, bannedText))
}

// failure returns what a client is told whose upstream has failed.
func failure(speaks string, slow bool) []byte {
	status := http.StatusBadGateway
	if slow {
		status = http.StatusGatewayTimeout
	}
	return say(speaks, "421 4.3.0", "SYS/TEMP", "UNAVAILABLE", status, failedText)
}

// goodbye returns what a client is told whose server stops.
func goodbye(speaks string) []byte {
	if speaks == HTTP {
		return nil // Its connections may end between two requests.
	}
	return say(speaks, "421 4.3.2", "SYS/TEMP", "UNAVAILABLE", 0, stoppingText)
}

// say puts a text into the words of a protocol: the codes of SMTP (RFC 3463),
// POP3 (RFC 3206) and IMAP (RFC 5530), or an HTTP status.
func say(speaks, smtp, pop3, imap string, status int, text string) []byte {
	switch speaks {
	case SMTP:
		return fmt.Appendf(nil, "%s %s\r\n", smtp, text)
	case POP3:
		return fmt.Appendf(nil, "-ERR [%s] %s\r\n", pop3, text)
	case IMAP:
		return fmt.Appendf(nil, "* BYE [%s] %s\r\n", imap, text)
	case HTTP:
		return response(status, text)
	}
	return nil
}

func response(status int, text string) []byte {
	retry := ""
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		retry = fmt.Sprintf("Retry-After: %d\r\n", retryAfter)
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\n"+
		"Content-Length: %d\r\n"+
		"Cache-Control: no-store\r\n"+
		"%sConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), len(text)+1, retry, text)
}
