package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// postfixIdle is how many idle sessions it gets: each is a process.
	postfixIdle = 50
	// postfixTime is how long it may take to begin, or to have nothing to do.
	postfixTime = time.Minute
	// ticks of the kernel in a second, in which /proc counts.
	ticks = 100
)

// postfix is one that has everything in a folder of its own. It says that a
// message is accepted when that is in its queue, and delivers it afterwards.
type postfix struct {
	folder string
	cmd    *exec.Cmd
	port   int
}

// havePostfix tells whether it can be run here.
func havePostfix() bool {
	_, missing := exec.LookPath("postfix")
	_, nobody := user.Lookup("postfix")
	return missing == nil && nobody == nil && os.Geteuid() == 0
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/data/log
maillog_file_prefixes = %[1]s
myhostname = localhost.example.net
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_process_limit = 200
smtpd_client_connection_count_limit = 0
smtpd_timeout = 1h
smtpd_peername_lookup = no
alias_maps =
alias_database =
virtual_mailbox_domains = localhost
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = regexp:{{/^(user[0-9]+)@localhost$$/ $$1/}}
virtual_uid_maps = static:%[2]s
virtual_gid_maps = static:%[3]s
`

const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
retry unix - - n - - error
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

func newPostfix(ctx context.Context, folder string) (part, error) {
	p := &postfix{folder: filepath.Join(folder, "postfix")}
	owner, err := user.Lookup("postfix")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(owner.Uid)
	if err != nil {
		return nil, err
	}
	for _, one := range []string{"etc", "queue", "data", "mail"} {
		dir := filepath.Join(p.folder, one)
		err = errors.Join(err, os.MkdirAll(dir, 0o755))
		if one == "data" || one == "mail" {
			err = errors.Join(err, os.Chown(dir, uid, -1))
		}
	}
	if p.port, err = freePort(err); err != nil {
		return nil, err
	}
	etc := filepath.Join(p.folder, "etc")
	main := strings.NewReplacer("%[1]s", p.folder, "%[2]s", owner.Uid, "%[3]s", owner.Gid).Replace(postfixMain)
	err = errors.Join(os.WriteFile(filepath.Join(etc, "main.cf"), []byte(main), 0o644),
		os.WriteFile(filepath.Join(etc, "master.cf"), fmt.Appendf(nil, postfixMaster, p.port), 0o644))
	if err != nil {
		return nil, err
	}
	if said, err := exec.CommandContext(ctx, "postfix", "-c", etc, "check").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, said)
	}
	p.cmd = exec.Command("postfix", "-c", etc, "start-fg")
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.wait(ctx)
}

// freePort is one that nobody has, a moment ago.
func freePort(before error) (int, error) {
	if before != nil {
		return 0, before
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(net.ErrClosed, l.Close())
	}
	return at.Port, l.Close()
}

// wait waits until it answers.
func (p *postfix) wait(ctx context.Context) error {
	for deadline := time.Now().Add(postfixTime); ; {
		c, err := net.Dial("tcp", p.ready()["smtp"])
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) || !sleepUntil(ctx, time.Now().Add(settleTime)) {
			return errors.Join(err, p.end())
		}
	}
}

func (p *postfix) ready() map[string]string {
	return map[string]string{"smtp": fmt.Sprintf("127.0.0.1:%d", p.port)}
}

func (p *postfix) do(question string) (any, error) {
	verb, _, _ := strings.Cut(question, " ")
	switch verb {
	case "rest":
		return true, p.rest()
	case "now", "settled":
		return p.usage()
	}
	return true, nil // There are no profiles of it.
}

// rest waits until all mail is delivered.
func (p *postfix) rest() error {
	for deadline := time.Now().Add(postfixTime); time.Now().Before(deadline); time.Sleep(settleTime) {
		queued := 0
		for _, queue := range []string{"incoming", "active", "maildrop"} {
			err := filepath.WalkDir(filepath.Join(p.folder, "queue", queue), func(_ string, d fs.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() {
					queued++
				}
				return nil // What is gone is delivered.
			})
			if err != nil {
				return err
			}
		}
		if queued == 0 {
			return nil
		}
	}
	return errors.New("postfix does not come to an end")
}

// usage adds up its processes, and what those have used that are gone.
func (p *postfix) usage() (usage, error) {
	text, err := os.ReadFile(filepath.Join(p.folder, "queue/pid/master.pid"))
	if err != nil {
		return usage{}, err
	}
	master := strings.TrimSpace(string(text))
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // It has just ended, and its parent counts it.
		}
		_, rest, _ := strings.Cut(string(text), ") ") // From the state on, proc(5).
		f := strings.Fields(rest)
		pid := filepath.Base(filepath.Dir(path))
		if len(f) < 15 || pid != master && f[1] != master {
			continue
		}
		for _, n := range f[11:15] {
			used, err := strconv.Atoi(n)
			if err != nil {
				return usage{}, err
			}
			sum.Processor += time.Duration(used) * time.Second / ticks
		}
		sum.Resident += proportional(pid)
		sum.Goroutines++ // Processes, in its case.
	}
	return sum, nil
}

// proportional is a process's part of the memory that it shares, and all of
// its own.
func proportional(pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		return 0 // It has just ended.
	}
	kb, _ := sizeIn(string(text), "Pss:")
	return kb << 10
}

func (p *postfix) end() error {
	said, err := exec.Command("postfix", "-c", filepath.Join(p.folder, "etc"), "stop").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said)
	}
	_ = p.cmd.Wait() // It was ended by a signal, and says so.
	return err
}
