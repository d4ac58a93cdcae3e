package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hasty bans a source with two unproven connections, and one with a failed
// login.
const hasty = `
[detector]
default_policies = false
[[policy]]
name = "hasty"
when = "unproven.open >= 2 || logins_failed >= 1"
action = "ban"
duration = "1h"
`

// TestForgedAddressesAreNotBanned puts addresses of others wherever a client
// can put text: HELO, addresses of mail, user name, URL and header. Whoever does
// that may be banned, and nobody else.
func TestForgedAddressesAreNotBanned(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	s := startServe(t, "--state", state, "--config", writeConfig(t, freePorts+hasty))
	smtp, www := s.find(`^smtp +(\S+)`), s.find(`^www +(\S+)`)

	const forged = `198.51.100.66`
	line := fmt.Sprintf(`x","client_ip":"%s","event":"fail`, forged)
	c := dialFrom(t, "127.0.6.1", smtp)
	for _, text := range []string{
		"EHLO [" + forged + "]",
		"EHLO " + line,
		"MAIL FROM:<" + forged + "@" + forged + ">",
		"RCPT TO:<\"" + line + "\"@localhost>",
		"AUTH PLAIN " + plain(line, "wrong"),
		"AUTH PLAIN " + plain("\x1b[2J"+forged+"\r\n{}", "wrong"),
	} {
		if err := c.PrintfLine("%s", text); err != nil {
			break // It was banned already: all the better.
		}
		if _, _, err := c.ReadResponse(0); err != nil {
			break
		}
	}
	h := dialFrom(t, "127.0.6.2", www)
	if err := h.PrintfLine("GET /%s?%s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\nForwarded: for=%s\r\nUser-Agent: %s\r\n", forged, line, forged, forged, forged, line); err != nil {
		t.Fatal(err)
	}
	// Its second connection is one too many. The ban may cut it before it is
	// seen to be made, and meet a third.
	for range 2 {
		if c, err := dial(t, "127.0.6.2", www); err == nil {
			defer func() { _ = c.Close() }()
		}
	}

	var bans []struct{ Prefix string }
	deadline := time.Now().Add(20 * time.Second)
	for len(bans) < 2 && time.Now().Before(deadline) {
		_, out, _ := session(t.Context(), "bans", "--json", "--state", state)
		if err := json.Unmarshal([]byte(out), &bans); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]bool{}
	for _, b := range bans {
		found[b.Prefix] = true
	}
	if len(found) != 2 || !found["127.0.6.1/32"] || !found["127.0.6.2/32"] {
		t.Errorf("banned %v, want those who forged and nobody else", bans)
	}
	code, out, stderr := session(t.Context(), "top", "--once", "--json", "--state", state)
	if code != exitDone || strings.Contains(out, forged) {
		t.Errorf("top shows a forged address: %d\n%s%s", code, out, stderr)
	}
}

// TestDetectOnAHostileLog follows a log with everything in it that is no event,
// and still sees the attack between.
func TestDetectOnAHostileLog(t *testing.T) {
	state := t.TempDir()
	var log strings.Builder
	event := func(seq int, rest string) {
		fmt.Fprintf(&log, `{"time":%q,"boot":"b","seq":%d,%s}`+"\n", time.Now().UTC().Format(time.RFC3339Nano), seq, rest)
	}
	event(1, `"event":"start","schema":1,"services":[{"service":"www","threads":10}]`)
	log.WriteString("garbage\n\n{}\n[1,2]\nnull\n\x00\x01\xff\xfe\n{\"time\":1}\n")
	log.WriteString(strings.Repeat("x", 10<<20) + "\n")
	event(2, `"event":"open","service":"www","conn":1,"client_ip":"203.0.113.9","busy":1,"threads":10`)
	event(3, "\"event\":\"fail\",\"service\":\"www\",\"conn\":1,\"client_ip\":\"203.0.113.9\",\"what\":\"command\",\"user\":\"\xff\xfe\x1b[2J\"")
	event(4, `"event":"open","service":"www","conn":2,"client_ip":"not an address","busy":1,"threads":10`)
	event(5, `"event":"invented","service":"www","conn":{"deep":[[[[]]]]}`)
	log.WriteString(`{"time":"2026-01-01T00:00:00Z","event":"open","boot":"b","seq":99999999999999999999}` + "\n")
	event(6, `"event":"open","service":"www","conn":3,"client_ip":"203.0.113.9","busy":2,"threads":10`)
	path := filepath.Join(state, "connections.log")
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}

	s := startCommand(t, "detect", path, "--state", state, "--config", writeConfig(t, hasty))
	s.find(`banned +203\.0\.113\.9 `)
	for _, want := range []string{"malformed", "10485760"} {
		eventuallySays(t, s.stderr, want)
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.stderr)
	}
}

func dialFrom(t *testing.T, source, address string) *textproto.Conn {
	t.Helper()
	c, err := dial(t, source, address)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn := textproto.NewConn(c)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func dial(t *testing.T, source, address string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	return d.DialContext(t.Context(), "tcp", address)
}

// plain is the initial response of AUTH PLAIN (RFC 4616).
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}
