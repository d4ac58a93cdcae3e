package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/bcrypt"

	"overstay/internal/app"
)

const (
	users    = 64
	password = "correct horse"
)

func userName(i int) string { return fmt.Sprintf("user%d", i%users) }

// whole is the whole server, as the command serve runs it.
type whole struct {
	meter
	at     map[string]string
	cancel context.CancelFunc
	ended  chan error
}

// configuration is the one of the example but for what a soak needs: threads
// for all, from few addresses, who may be idle for long.
const configuration = `
[log]
max_bytes = 17179869184

[[service]]
name = "smtp"
protocol = "smtp"
listen = "127.0.0.1:0"
threads = %[1]d
unproven_per_source = -1
idle = "1h"
idle_proven = "1h"
idle_stressed = "1h"
unproven = "1h"

[[service]]
name = "imap"
protocol = "imap"
listen = "127.0.0.1:0"
threads = %[1]d
unproven_per_source = -1

[[service]]
name = "www"
protocol = "www"
listen = "127.0.0.1:0"
threads = 10
`

// threads is more than there will be connections.
const threads = 20_000

func newWhole(ctx context.Context, folder string) (part, error) {
	state := filepath.Join(folder, "overstay")
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	if err := writeUsers(filepath.Join(state, "users")); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "overstay.toml")
	if err := os.WriteFile(path, fmt.Appendf(nil, configuration, threads), 0o600); err != nil {
		return nil, err
	}
	cfg, err := app.Load(path)
	if err != nil {
		return nil, err
	}
	cfg.State = state
	ctx, cancel := context.WithCancel(ctx)
	w := &whole{at: map[string]string{}, cancel: cancel, ended: make(chan error, 1)}
	listening := make(chan struct{})
	go func() {
		w.ended <- app.Serve(ctx, cfg, app.ServeOptions{
			Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Ready: func(r app.Running) {
				for _, s := range r.Services {
					w.at[s.Name] = s.Listen
				}
				close(listening)
			},
		})
	}()
	select {
	case err := <-w.ended:
		cancel()
		return nil, err
	case <-listening:
		return w, nil
	}
}

// writeUsers makes the user file, with the cheapest hashes there are: what a
// login costs is not the question here.
func writeUsers(path string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	var text []byte
	for i := range users {
		text = fmt.Appendf(text, "%s:%s\n", userName(i), hash)
	}
	return os.WriteFile(path, text, 0o600)
}

func (w *whole) ready() map[string]string { return w.at }

// do answers "pools" too.
func (w *whole) do(question string) (any, error) {
	if question == "pools" {
		return w.pools()
	}
	return w.meter.do(question)
}

func (w *whole) end() error {
	w.cancel()
	return <-w.ended
}

// pool is what the status page tells of a service.
type pool struct {
	Service         string `json:"service"`
	Busy            int    `json:"busy"`
	Accepted        uint64 `json:"accepted"`
	RefusedBusy     uint64 `json:"refused_busy"`
	RefusedSessions uint64 `json:"refused_sessions"`
	RefusedBanned   uint64 `json:"refused_banned"`
}

func (p pool) refused() uint64 { return p.RefusedBusy + p.RefusedSessions + p.RefusedBanned }

// pools returns those of the mail services.
func (w *whole) pools() (mail []pool, err error) {
	request, err := http.NewRequest(http.MethodGet, "http://"+w.at["www"]+"/status", http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	var status struct {
		Services []pool `json:"services"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return nil, err
	}
	for _, p := range status.Services {
		if p.Service != "www" {
			mail = append(mail, p)
		}
	}
	return mail, nil
}
