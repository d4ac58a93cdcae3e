package smtp

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"overstay/connlog"
	"overstay/server/mailstore"
	"overstay/server/scan"
)

// The answers to a message.
var (
	errFull      = &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 3, 1}, Message: "No space left, please try later"}
	errQuota     = &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 2, 2}, Message: "Mailbox full, please try later"}
	errStore     = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "Message not stored, please try later"}
	errTruncated = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 4, 2}, Message: "Message not complete"}
	errHops      = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 4, 6}, Message: "Too many hops"}
	errUnscanned = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "Message not scanned, please try later"}
	errScanSize  = &gosmtp.SMTPError{Code: 552, EnhancedCode: gosmtp.EnhancedCode{5, 3, 4}, Message: "Message too large to be scanned"}
)

// message is one that has come whole, with the line ends of this host.
type message struct {
	spool   spool
	hops    hops
	scanned string // the header line about it
}

// Data takes in a message. It returns nil only if the message is on the disk of
// all its local recipients, and taken by the upstream for the others.
func (s *session) Data(r io.Reader) error {
	s.link.Enter(connlog.StageData)
	m := &message{spool: spool{dir: s.protocol.options.SpoolDir}}
	defer m.spool.Close()
	if err := s.takeIn(m, r); err != nil {
		return err
	}
	if err := s.scan(m); err != nil {
		return err
	}
	if s.link.cut() {
		return errTruncated // Nobody would hear that it is accepted.
	}
	if err := s.deliver(m); err != nil {
		return err
	}
	s.link.Proven(connlog.ByMessage, s.from)
	return nil
}

// takeIn reads the message to its end.
func (s *session) takeIn(m *message, r io.Reader) error {
	buf := make([]byte, 8<<10)
	for {
		n, err := r.Read(buf)
		piece := withoutCR(buf[:n])
		m.hops.add(piece)
		if _, err := m.spool.Write(piece); err != nil {
			return s.notStored(err)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			var reply *gosmtp.SMTPError
			if errors.As(err, &reply) {
				return reply // It is too large.
			}
			return errTruncated
		}
	}
	t := s.link.text
	if t.doubtful {
		s.link.over = true // Some of it may stand behind what we take for its end.
	}
	switch {
	case t.flaw != nil:
		return t.flaw
	case m.hops.n > maxHops:
		return errHops
	}
	return nil
}

// withoutCR takes the CRs out of b: each belongs to a line end.
func withoutCR(b []byte) []byte {
	out := b[:0]
	for _, c := range b {
		if c != '\r' {
			out = append(out, c)
		}
	}
	return out
}

// scan has the message looked at, if that is wanted.
func (s *session) scan(m *message) error {
	o := &s.protocol.options
	if o.Scanners == nil {
		return nil
	}
	verdict, err := s.verdict(m)
	switch {
	case err == nil && verdict.Found():
		s.link.fail(connlog.FailVirus, "")
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "Message refused: " + verdict.Signature}
	case err == nil:
		m.scanned = "yes"
	case errors.Is(err, scan.ErrTooLarge):
		if !o.PassTooLarge {
			return errScanSize
		}
		m.scanned = "no (too large)"
	default:
		if s.link.Context().Err() != nil {
			return errUnscanned // Nobody hears it.
		}
		o.Logger.Warn("message not scanned", "conn", s.link.ID(), "error", err)
		if !o.PassUnscanned {
			return errUnscanned
		}
		m.scanned = "no (no scanner available)"
		if errors.Is(err, scan.ErrBusy) {
			m.scanned = "no (scanners busy)"
		}
	}
	return nil
}

func (s *session) verdict(m *message) (scan.Verdict, error) {
	ctx := s.link.Context()
	s.link.Enter(connlog.StageScanWait)
	turn, err := s.protocol.options.Scanners.Wait(ctx)
	if err != nil {
		return scan.Verdict{}, err
	}
	defer turn.Done()
	s.link.Enter(connlog.StageScan)
	return turn.Scan(ctx, m.spool.reader())
}

// deliver puts the message where it shall go. What is local is written first,
// and appears last, when the upstream has taken its part. If that is refused,
// nobody has the message. If the disk fails after the upstream has it, the
// client tries again, and the upstream gets it twice: that is better than not
// at all.
func (s *session) deliver(m *message) error {
	head := s.received(time.Now())
	if m.scanned != "" {
		head += "X-Virus-Scanned: " + m.scanned + "\n"
	}
	local, err := s.write(m, head)
	if err != nil {
		return s.notStored(err)
	}
	if local != nil {
		defer local.Abort()
	}
	relays := s.relayed != nil && len(s.relayed.recipients) > 0
	if relays {
		s.link.Enter(connlog.StageUpstream)
		if err := s.relayed.send(io.MultiReader(strings.NewReader(head), m.spool.reader())); err != nil {
			return s.notRelayed(err)
		}
	}
	if local == nil {
		if !relays {
			return errNobody
		}
		return nil
	}
	s.link.Enter(connlog.StageDeliver)
	if err := local.Commit(); err != nil {
		return s.notStored(err)
	}
	return nil
}

// write writes the message for its local recipients, nil if there are none.
func (s *session) write(m *message, head string) (Delivery, error) {
	if len(s.recipients) == 0 {
		return nil, nil
	}
	s.link.Enter(connlog.StageDeliver)
	d, err := s.protocol.options.Store.Begin(s.recipients)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(d, "Return-Path: <"+returnPath(s.from)+">\n"+head)
	if err == nil {
		_, err = io.Copy(d, m.spool.reader())
	}
	if err != nil {
		d.Abort()
		return nil, err
	}
	return d, nil
}

// notStored logs why a message could not be stored, and returns what the
// client is told.
func (s *session) notStored(err error) error {
	if errors.Is(err, mailstore.ErrQuota) {
		return errQuota
	}
	s.protocol.options.Logger.Error("message not stored", "conn", s.link.ID(), "error", err)
	if errors.Is(err, mailstore.ErrFull) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errFull
	}
	return errStore
}
