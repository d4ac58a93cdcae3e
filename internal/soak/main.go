// Command soak holds a server under load for a while: thousands of idle
// sessions of smtp and imap, and mail coming in at a steady rate. It tells the
// memory of an idle session, the processor time of a transaction and how long
// one takes, beside the bare libraries on the same machine in the same run.
//
// The model: every server is a process of its own, this program started again
// (role.go), so that what it uses is known from the kernel; who holds the idle
// sessions is another, and the mail comes from the first one. The servers are
//
//   - overstay: the whole server as `overstay serve` runs it, with its log, its
//     detector, users, Maildirs and fsync;
//   - library: go-smtp that forgets each message, and go-imap with a mailbox in
//     memory; nothing is admitted, logged, checked or kept;
//   - library+store: the same with overstay's delivery to Maildirs, so that the
//     disk's part is the same for both;
//   - postfix, where there is one: with few idle sessions, each of which is a
//     process, and at a rate of its own. It accepts what is in its queue; the
//     processor's time has the delivery in it, which comes later.
//
// All hold their idle sessions at the same time, and get their mail in turns
// of a few seconds at the same rate: the one asked for, or less if the slowest
// of them could not stand it. A transaction is a connection of its own with one
// message, from one of many loopback addresses. At the end everything is hung
// up: no thread may be held then, and when as many sessions have come and gone
// once more, the memory must be what it was after the first.
//
// First call: go run ./internal/soak --for 60s, or make soak.
//
// Absent on purpose: targets elsewhere. It talks to what it has started itself.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// start does what this process is there for.
func start(ctx context.Context) error {
	if name := os.Getenv(roleVariable); name != "" {
		return play(ctx, name, os.Stdin, os.Stdout)
	}
	s := soak{probe: 2 * time.Second, progress: os.Stderr}
	pflag.IntVar(&s.idle, "idle", 10_000, "idle `sessions` at each server, half smtp, half imap")
	pflag.IntVar(&s.rate, "rate", 2000, "`transactions` a second")
	pflag.DurationVar(&s.length, "for", time.Minute, "how long each server gets mail")
	pflag.DurationVar(&s.turn, "turn", 5*time.Second, "how long one turn is")
	pflag.IntVar(&s.senders, "senders", 64, "`connections` that send at the same time")
	pflag.IntVar(&s.size, "size", 2048, "octets of a message")
	pflag.StringVar(&s.folder, "folder", "", "folder for mail and log, which are removed in the end (default: that for temporary files)")
	pflag.StringVar(&s.profiles, "profiles", "", "folder for profiles of the servers, taken while they get mail")
	pflag.BoolVar(&s.postfix, "postfix", havePostfix(), "measure Postfix too, where it is installed, as root")
	pflag.Parse()
	r, err := s.run(ctx)
	if err != nil {
		return err
	}
	r.print(os.Stdout)
	return r.complaint()
}
