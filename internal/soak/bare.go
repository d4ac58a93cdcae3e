package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"path/filepath"
	"strings"
	"sync"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	gosmtp "github.com/emersion/go-smtp"

	"overstay/server/mailstore"
)

// bare is the libraries without us.
type bare struct {
	meter
	smtp   *gosmtp.Server
	imap   *imapserver.Server
	at     map[string]string
	listen sync.WaitGroup
}

func newBare(context.Context, string) (part, error) { return startBare(nil) }

func newBareStore(_ context.Context, folder string) (part, error) {
	return startBare(mailstore.NewStore(filepath.Join(folder, "library-mail")))
}

// startBare starts the libraries' servers. Without a store mail is forgotten.
func startBare(store *mailstore.Store) (part, error) {
	b := &bare{at: map[string]string{}}
	b.smtp = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) {
		return &bareSession{store: store}, nil
	}))
	b.smtp.Domain = "localhost"
	b.smtp.ErrorLog = log.New(io.Discard, "", 0)
	mailboxes := imapmemserver.New()
	for i := range users {
		u := imapmemserver.NewUser(userName(i), password)
		if err := u.Create("INBOX", nil); err != nil {
			return nil, err
		}
		mailboxes.AddUser(u)
	}
	b.imap = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mailboxes.NewSession(), nil, nil
		},
		Caps:         goimap.CapSet{goimap.CapIMAP4rev1: {}},
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0),
	})
	for name, serve := range map[string]func(net.Listener) error{"smtp": b.smtp.Serve, "imap": b.imap.Serve} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, b.end())
		}
		b.at[name] = l.Addr().String()
		b.listen.Go(func() { _ = serve(l) }) // It ends when it is closed.
	}
	return b, nil
}

func (b *bare) ready() map[string]string { return b.at }

func (b *bare) end() error {
	err := errors.Join(b.smtp.Close(), b.imap.Close())
	b.listen.Wait()
	return err
}

// bareSession takes all mail.
type bareSession struct {
	store *mailstore.Store
	to    []string
}

func (s *bareSession) Reset()                                 { s.to = nil }
func (s *bareSession) Logout() error                          { return nil }
func (s *bareSession) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s *bareSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	user, _, _ := strings.Cut(to, "@")
	s.to = append(s.to, user)
	return nil
}

func (s *bareSession) Data(r io.Reader) error {
	if s.store == nil {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	d, err := s.store.Begin(s.to)
	if err != nil {
		return err
	}
	defer d.Abort()
	if _, err := io.Copy(d, r); err != nil {
		return err
	}
	return d.Commit()
}
