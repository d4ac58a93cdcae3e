package certs

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// Pair is a certificate with its chain and key, from two files. Its methods
// may be called at the same time.
type Pair struct {
	certFile, keyFile string
	logger            *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // held while the files are looked at
	looked time.Time
	seen   marks
}

// marks tell one state of the two files from another; nil if they cannot be
// looked at.
type marks []os.FileInfo

func (m marks) same(other marks) bool {
	return slices.EqualFunc(m, other, func(a, b os.FileInfo) bool {
		// A clock that is coarse does not tell two files apart.
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// Open reads the pair. Both files are PEM; the first holds the whole chain,
// the server's own certificate first. A nil logger discards.
func Open(certFile, keyFile string, logger *slog.Logger) (*Pair, error) {
	p := &Pair{
		certFile: certFile,
		keyFile:  keyFile,
		logger:   cmp.Or(logger, slog.New(slog.DiscardHandler)),
		looked:   time.Now(),
	}
	now, err := p.look()
	if err != nil {
		return nil, err
	}
	if err := p.read(now); err != nil {
		return nil, err
	}
	return p, nil
}

// Config returns a configuration that presents the pair.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{GetCertificate: p.get, MinVersion: tls.VersionTLS12}
}

// NotAfter returns when the certificate ends.
func (p *Pair) NotAfter() time.Time { return p.current.Load().Leaf.NotAfter }

// get is asked by crypto/tls at each handshake.
func (p *Pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p.mu.TryLock() { // Somebody else is looking already.
		defer p.mu.Unlock()
		if now := time.Now(); now.Sub(p.looked) >= lookEvery {
			p.looked = now
			p.refreshLocked()
		}
	}
	return p.current.Load(), nil
}

// refreshLocked reads the files again if they have changed. What is wrong with
// them is said once for each state they are in.
func (p *Pair) refreshLocked() {
	now, err := p.look()
	if err == nil && now.same(p.seen) {
		return
	}
	if err == nil {
		err = p.read(now)
	}
	switch {
	case err == nil:
		p.logger.Info("certificate read again", "file", p.certFile, "until", p.NotAfter())
	case !now.same(p.seen):
		p.logger.Error("certificate not used, the one read before remains", "error", err)
	}
	p.seen = now
}

// look returns the state of both files.
func (p *Pair) look() (marks, error) {
	var now marks
	for _, path := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("certs: %w", err)
		}
		now = append(now, info)
	}
	return now, nil
}

// read reads the files, and keeps their state if they are right.
func (p *Pair) read(now marks) error {
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("certs: %s with %s: %w", p.certFile, p.keyFile, err)
	}
	p.current.Store(&cert)
	p.seen = now
	return nil
}
