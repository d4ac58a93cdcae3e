package smtp

import (
	"crypto/tls"
	"net"
	"sync"

	"overstay/connlog"
)

// startTLS answers STARTTLS (RFC 3207). Under TLS the conversation begins anew,
// with a link of its own and without what was said before (4.2); this one ends.
func (l *link) startTLS(argument string) error {
	config := l.protocol.options.TLS
	switch {
	case argument != "":
		l.reply("501 5.5.4 STARTTLS takes no argument")
		return nil
	case l.secure():
		l.reply("503 5.5.1 This is TLS already")
		return nil
	case config == nil:
		l.reply("502 5.5.1 TLS is not offered")
		return nil
	case l.in.Buffered() > 0:
		// Whoever put it there, it came in the clear and would be taken for
		// what the client says under TLS.
		l.over = true
		l.reply("503 5.5.1 Nothing may follow STARTTLS")
		return nil
	}
	l.reply("220 2.0.0 Ready to start TLS")
	if err := l.flush(); err != nil {
		return err
	}
	l.over = true
	t, err := l.StartTLS(config)
	if err != nil {
		return err
	}
	under := l.protocol.newLink(l.Conn, t)
	under.silent = true // It has been greeted.
	under.Enter(connlog.StageCommand)
	l.handed = true
	if !l.protocol.upgraded.put(under) {
		return under.Close()
	}
	return nil
}

// secure tells whether the client is spoken to under TLS.
func (l *link) secure() bool {
	_, ok := l.transport.(*tls.Conn)
	return ok
}

// upgrades hands connections that are under TLS now to the library, which
// takes them from a listener only.
type upgrades struct {
	links  chan *link
	closed chan struct{}
	once   sync.Once
}

func newUpgrades() *upgrades {
	return &upgrades{links: make(chan *link), closed: make(chan struct{})}
}

// put returns false if nobody takes it any more.
func (u *upgrades) put(l *link) bool {
	select {
	case u.links <- l:
		return true
	case <-u.closed:
		return false
	}
}

// Accept implements net.Listener.
func (u *upgrades) Accept() (net.Conn, error) {
	select {
	case l := <-u.links:
		return l, nil
	case <-u.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (u *upgrades) Close() error {
	u.once.Do(func() { close(u.closed) })
	return nil
}

// Addr implements net.Listener.
func (u *upgrades) Addr() net.Addr { return &net.TCPAddr{} }
