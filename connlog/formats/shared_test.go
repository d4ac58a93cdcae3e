package formats

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"overstay/connlog"
)

// shared are logs of other people, and some of a laboratory. They are not part
// of this repository.
const shared = "../../../shared/data"

// sharedLog is what is to be made of one of them. The patterns are counted in
// its lines, by regular expressions that know nothing of the readers; "" is not
// looked at, all is every line, and a number is what another program counted,
// which takes Invalid user and the failed password behind it for one.
type sharedLog struct {
	format               string
	opens, fails, proofs string
	malformed            int           // lines, of another kind or damaged
	held                 time.Duration // by all, known from elsewhere; 0: not looked at
}

const (
	all  = "^."
	none = "^$x"
)

// noLogs are files that are none, and why.
var noLogs = map[string]string{
	"/README.md": "text", "/SHA256SUMS": "sums", "/lab-a/roles.json": "labels", "/fail2ban/records.jsonl": "lines of many logs: TestRecords",
	"/honeypot-sessions/cowrie-sessions-20k.csv.gz": "a table, which needs a mapping: TestSharedTable",
	"/lab-a/wire.pcap.gz":                           "packets", "/pcap/ftp-ssh-bruteforce.pcap.gz": "packets", "/pcap/goldeneye.pcap.gz": "packets", "/pcap/ssh-bruteforce-nmap.pcap.gz": "packets",
}

func sharedLogs() map[string]sharedLog {
	const (
		trapped, guessed, let = `"cowrie.session.connect"`, `"cowrie.login.failed"`, `"cowrie.login.success"`
		flow                  = `"event_type":"flow".*"proto":"TCP".*"tcp_flags_tc":".[2367abef]".*"state":"[^s]` // not syn_sent, syn_recv
		zeek                  = `\ttcp\t([^\t]*\t){4}(S[1-3]|SF|SH|SHR|RS)`
		zeekJSON              = `"proto":"tcp".*"conn_state":"(S[1-3]|SF|SHR?|RS)`
		connect               = `smtpd\[\d+\]: connect from \S+\[[0-9a-f.:]+\]`
	)
	return map[string]sharedLog{
		"/access/nginx-2024-02.log.gz":      {format: "combined", opens: all},
		"/access/scan-w3af.log.gz":          {format: "combined", opens: all, proofs: `" [23]\d\d \d+`},
		"/cowrie/cowrie.json.2018-05-21.gz": {format: "cowrie", opens: trapped, fails: guessed, proofs: let},
		"/cowrie/cowrie.json.2018-05-22.gz": {format: "cowrie", opens: trapped, fails: guessed, proofs: let},
		"/cowrie/cowrie.json.2018-06-13.gz": {format: "cowrie", opens: trapped, fails: guessed, proofs: let},
		"/cowrie/cowrie.json.2018-06-26.gz": {format: "cowrie", opens: trapped, fails: guessed, proofs: let, held: 39*time.Minute + 59*time.Second},
		"/cowrie/cowrie.json.2018-06-28.gz": {format: "cowrie", opens: trapped, fails: guessed, proofs: let},
		// The same day, told twice.
		"/cowrie/cowrie.log.2018-06-26.gz": {format: "cowrie-text", opens: `New connection: `, fails: `login attempt .*\] failed`, proofs: `login attempt .*\] succeeded`, held: 39*time.Minute + 59*time.Second},

		"/crowdsec-hub/apache2-logs.log":          {format: "combined", opens: `^\d+\.`, malformed: 4},
		"/crowdsec-hub/aws-alb-logs.log":          {format: "aws-alb", opens: all},
		"/crowdsec-hub/caddy-logs.log":            {format: "caddy", opens: `"handled request"`},
		"/crowdsec-hub/cowrie-logs.log":           {format: "cowrie-text", opens: all},
		"/crowdsec-hub/dovecot-logs.log":          {format: "dovecot", opens: `-login: `},
		"/crowdsec-hub/endlessh-logs.log":         {format: "endlessh", opens: `ACCEPT|go:99\] CLOSE`},
		"/crowdsec-hub/envoy-logs.log":            {format: "envoy", opens: `\{`, malformed: 4},
		"/crowdsec-hub/haproxy-logs.log":          {format: "haproxy", opens: all},
		"/crowdsec-hub/http-dos-switching-ua.log": {format: "combined", opens: all},
		"/crowdsec-hub/postfix-logs.log":          {format: "postfix", opens: none, fails: all},
		"/crowdsec-hub/proftpd-logs.log":          {format: "proftpd", opens: none, fails: all},
		"/crowdsec-hub/ssh-slow-bf.log":           {format: "openssh", opens: none, fails: all},
		"/crowdsec-hub/sshd-logs.log":             {format: "openssh", opens: none},
		"/crowdsec-hub/sshd-success-logs.log":     {format: "openssh", opens: none, fails: none, proofs: all},
		"/crowdsec-hub/suricata-logs-evelog.log":  {format: "suricata", opens: flow},
		"/crowdsec-hub/tcpudp-flood-traefik.log":  {format: "traefik-tcp", opens: `Handling TCP connection`},
		"/crowdsec-hub/traefik_clf.log":           {format: "combined", opens: `^\S+ - `},
		"/crowdsec-hub/traefik_json.log":          {format: "traefik", opens: `"StartUTC"`, malformed: 1},
		"/crowdsec-hub/vsftpd-bf.log":             {format: "vsftpd", opens: none, fails: `FAIL LOGIN`},
		"/crowdsec-hub/vsftpd-logs.log":           {format: "vsftpd", opens: `CONNECT: `, fails: `FAIL LOGIN`},

		"/haproxy/node-2014-12-25.log.gz":           {format: "haproxy", opens: `haproxy\[\d+\]: [0-9.]+:\d+ \[`},
		"/haproxy/tcplog-and-custom-2024.log.gz":    {format: "haproxy", opens: none, fails: none}, // no httplog, and not taken for one
		"/lab-a/auth-iso.log":                       {format: "openssh", opens: `Connection from `, fails: `Failed password`, held: 500 * time.Millisecond},
		"/lab-a/auth.log":                           {format: "openssh", opens: `Connection from `, fails: `Failed password`},
		"/lab-a/dovecot.log":                        {format: "dovecot", opens: `-login: .* rip=`, proofs: `-login: Info: Login: `},
		"/lab-a/endlessh.log":                       {format: "endlessh", opens: `ACCEPT`, fails: none, proofs: none, held: 1803 * time.Second},
		"/lab-a/haproxy.log.gz":                     {format: "haproxy", opens: `haproxy\[\d+\]: [0-9.]+:\d+ \[`},
		"/lab-a/mail.log.gz":                        {format: "postfix", opens: connect, fails: `SASL \S+ authentication failed`},
		"/lab-a/nginx-access.log.gz":                {format: "combined", opens: all},
		"/lab-a/nginx-json.log.gz":                  {format: "nginx-json", opens: all},
		"/lab-a/nginx-rt.log.gz":                    {format: "nginx-time", opens: all},
		"/lab-a/squid-access.log":                   {format: "squid", opens: all, proofs: all},
		"/lab-a/vsftpd.log":                         {format: "vsftpd", opens: `CONNECT: `, fails: `FAIL LOGIN`, proofs: none},
		"/postfix/activeweb-postfix-dovecot.log":    {format: "syslog", opens: connect + `|-login: .* rip=`},
		"/postfix/conch-nov07.log.gz":               {format: "postfix", opens: connect, fails: `smtpd\[\d+\]: \S+: reject: `},
		"/postfix/conch-oct22.log.gz":               {format: "postfix", opens: connect},
		"/squid/native-112.log":                     {format: "squid", opens: all},
		"/sshd/Linux_2k.log":                        {format: "syslog", opens: `ftpd\[\d+\]: connection from \d`},
		"/sshd/OpenSSH_2k.log":                      {format: "openssh", opens: none, fails: "620", proofs: `Accepted `},
		"/suricata/ftp-ssh-bruteforce.eve.json.gz":  {format: "suricata", opens: flow},
		"/suricata/goldeneye.eve.json.gz":           {format: "suricata", opens: flow},
		"/suricata/mauz88.eve.json.gz":              {format: "suricata", opens: flow},
		"/suricata/nicoaller.eve.json.gz":           {format: "suricata", opens: flow, malformed: 1},
		"/suricata/ssh-bruteforce-nmap.eve.json.gz": {format: "suricata", opens: flow},
		"/vsftpd/small-server-2022.log":             {format: "vsftpd", opens: `CONNECT: `, fails: `FAIL LOGIN`, proofs: `OK LOGIN`},
		"/zeek/apt29-utica-a.conn.json":             {format: "zeek-json", opens: zeekJSON},
		"/zeek/cloud-sensor-0419-01.conn.log.gz":    {format: "zeek", opens: zeek},
		"/zeek/cloud-sensor-0419-23.conn.log.gz":    {format: "zeek", opens: zeek},
		"/zeek/portscan-horizontal.conn.log":        {format: "zeek", opens: zeek},
		"/zeek/portscan-vertical.conn.log":          {format: "zeek-json", opens: zeekJSON},
		"/zeek/proxy-15h.conn.log":                  {format: "zeek", opens: zeek},
		"/zeek/proxy.conn.log":                      {format: "zeek", opens: zeek},
		"/zeek/slips-test9-relative-time.conn.json": {format: "zeek-json", opens: zeekJSON},
	}
}

// TestSharedLogs reads every file there is: each is recognised for what it is,
// and what it tells is what a count of its lines says.
func TestSharedLogs(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(shared, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".expected.json") {
			return err
		}
		seen++
		name := filepath.ToSlash(strings.TrimPrefix(path, filepath.FromSlash(shared)))
		text := readShared(t, path)
		f, ok := Detect(text[:min(len(text), 1<<16)])
		want, log := sharedLogs()[name]
		switch {
		case !log && noLogs[name] == "":
			t.Errorf("%s: nobody says what it is; it looks like %q", name, f.Name)
		case !log && ok:
			t.Errorf("%s is %s, and taken for %s", name, noLogs[name], f.Name)
		case log && f.Name != want.format:
			t.Errorf("%s is taken for %q, want %s", name, f.Name, want.format)
		case log:
			want.check(t, name, count(f, text), text)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no logs at %s: they are no part of the repository", shared)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := len(sharedLogs()) + len(noLogs); seen != want {
		t.Errorf("%d files, want %d", seen, want)
	}
}

func readShared(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tally is what a log came to.
type tally struct {
	lines, malformed, orphans, forged int
	kinds                             map[connlog.Kind]int
	sources                           map[string]bool
	held                              time.Duration
	open                              int
}

func count(f Format, text []byte) *tally {
	c := &tally{sources: map[string]bool{}, kinds: map[connlog.Kind]int{}}
	p := f.NewParser(Options{Now: now()})
	for line := range bytes.Lines(text) {
		c.lines++
		err := p.Parse(line, func(e *connlog.Event) {
			c.kinds[e.Kind]++
			c.sources[e.ClientIP.String()] = true
			if e.Kind == connlog.Close {
				c.held += e.Held
			}
		})
		switch {
		case err == nil, errors.Is(err, ErrSkip):
		case errors.Is(err, ErrForged):
			c.forged++
		case errors.Is(err, ErrOrphan):
			c.orphans++
		case len(bytes.TrimSpace(line)) > 0:
			c.malformed++
		}
	}
	c.open = p.Open()
	return c
}

func (l *sharedLog) check(t *testing.T, name string, c *tally, text []byte) {
	t.Logf("%-44s %-11s %5d lines, %d malformed, %d orphans, %4d connections of %3d sources, %3d open at the end, held %v",
		name, l.format, c.lines, c.malformed, c.orphans, c.kinds[connlog.Open], len(c.sources), c.open, c.held.Round(time.Second))
	for _, x := range []struct {
		what    string
		pattern string
		got     int
	}{
		{"connections", l.opens, c.kinds[connlog.Open]},
		{"failures", l.fails, c.kinds[connlog.Fail]},
		{"proofs", l.proofs, c.kinds[connlog.Proven]},
	} {
		if x.pattern == "" {
			continue
		}
		want, err := strconv.Atoi(x.pattern)
		if err == nil {
			x.pattern = none
		}
		re := regexp.MustCompile(x.pattern)
		for line := range bytes.Lines(text) {
			if re.Match(bytes.TrimRight(line, "\r\n")) {
				want++
			}
		}
		if x.got != want {
			t.Errorf("%s: %d %s, and %d lines say so", name, x.got, x.what, want)
		}
	}
	if c.malformed != l.malformed || c.forged > 0 {
		t.Errorf("%s: %d lines are malformed, want %d; %d are forged", name, c.malformed, l.malformed, c.forged)
	}
	if c.kinds[connlog.Open] != c.kinds[connlog.Close]+c.open {
		t.Errorf("%s: %d connections, %d ended, %d are open", name, c.kinds[connlog.Open], c.kinds[connlog.Close], c.open)
	}
	if l.held > 0 && (c.held-l.held).Abs() > time.Second {
		t.Errorf("%s: held %v, want %v", name, c.held, l.held)
	}
}

// TestSharedTable reads a table of sessions by a mapping.
func TestSharedTable(t *testing.T) {
	const name = shared + "/honeypot-sessions/cowrie-sessions-20k.csv.gz"
	if _, err := os.Stat(name); err != nil {
		t.Skipf("no table at %s: it is no part of the repository", name)
	}
	f, err := Mapping{Address: "src_ip", Port: "src_port", Begin: "start_time", End: "end_time", Service: "ssh"}.CSV(',')
	if err != nil {
		t.Fatal(err)
	}
	text := readShared(t, name)
	c := count(f, text)
	// Three rows name nobody.
	if c.kinds[connlog.Open] != 19_997 || c.malformed != 3 {
		t.Errorf("%d sessions, %d malformed rows", c.kinds[connlog.Open], c.malformed)
	}
}
