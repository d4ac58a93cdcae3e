package certs

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
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
	seen   [2]fileMark
}

// fileMark tells one state of a file from another.
type fileMark struct {
	size     int64
	modified time.Time
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
	marks, err := p.look()
	if err != nil {
		return nil, err
	}
	if err := p.read(marks); err != nil {
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
	marks, err := p.look()
	if err == nil && marks == p.seen {
		return
	}
	if err == nil {
		err = p.read(marks)
	}
	switch {
	case err == nil:
		p.logger.Info("certificate read again", "file", p.certFile, "until", p.NotAfter())
	case marks != p.seen:
		p.logger.Error("certificate not used, the one read before remains", "error", err)
	}
	p.seen = marks
}

// look returns the state of both files; zero marks on an error.
func (p *Pair) look() (marks [2]fileMark, err error) {
	for i, path := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return [2]fileMark{}, fmt.Errorf("certs: %w", err)
		}
		marks[i] = fileMark{info.Size(), info.ModTime()}
	}
	return marks, nil
}

// read reads the files, and keeps marks if they are right.
func (p *Pair) read(marks [2]fileMark) error {
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return fmt.Errorf("certs: %s with %s: %w", p.certFile, p.keyFile, err)
	}
	p.current.Store(&cert)
	p.seen = marks
	return nil
}
