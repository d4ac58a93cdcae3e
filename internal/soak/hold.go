package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a client waits for anything.
const patience = time.Minute

const (
	// openers is how many sessions are opened at the same time.
	openers = 32
	// openRate is how many are opened in a second, for the sake of their
	// keepalives, which come as close together as they did.
	openRate = 1000
)

// holder holds idle sessions.
type holder struct {
	mu    sync.Mutex
	conns []net.Conn
}

func newHolder(context.Context, string) (part, error) { return &holder{}, nil }

func (h *holder) ready() map[string]string { return map[string]string{} }

// do takes "smtp ADDRESS COUNT" or "imap ADDRESS COUNT", opens that many
// sessions, and answers how many it could.
func (h *holder) do(question string) (any, error) {
	var protocol, address string
	var count int
	if _, err := fmt.Sscan(question, &protocol, &address, &count); err != nil {
		return nil, fmt.Errorf("question %q: %w", question, err)
	}
	open, ok := map[string]func(*talk, int) error{"smtp": idleSMTP, "imap": idleIMAP}[protocol]
	if !ok {
		return nil, fmt.Errorf("no protocol %q", protocol)
	}
	var next, held atomic.Int64
	var opening sync.WaitGroup
	start := time.Now()
	for range openers {
		opening.Go(func() {
			for i := int(next.Add(1)); i <= count; i = int(next.Add(1)) {
				time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / openRate)))
				if h.open(address, i, open) == nil {
					held.Add(1)
				}
			}
		})
	}
	opening.Wait()
	return held.Load(), nil
}

func (h *holder) open(address string, i int, introduce func(*talk, int) error) error {
	t, err := dial(address, source(i))
	if err != nil {
		return err
	}
	if err := introduce(t, i); err != nil {
		return errors.Join(err, t.conn.Close())
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, t.conn)
	return nil
}

func idleSMTP(t *talk, _ int) error {
	return errors.Join(t.reply(1), t.say("EHLO client.example.org\r\n", 1))
}

func idleIMAP(t *talk, i int) error {
	if _, err := t.in.ReadString('\n'); err != nil {
		return err
	}
	return t.tagged(fmt.Sprintf("a LOGIN %s %q\r\n", userName(i), password))
}

func (h *holder) end() error {
	for _, c := range h.conns {
		_ = c.Close() // It was idle.
	}
	return nil
}
