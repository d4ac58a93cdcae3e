package pop3

import (
	"errors"
	"io"
	"math"
	"strconv"

	"overstay/connlog"
)

// state is where a session is; a set of them says where a command may come.
type state int

const (
	authorization state = 1 << iota
	transaction
)

func (s *session) state() state {
	if s.drop == nil {
		return authorization
	}
	return transaction
}

// verb is a command: in which states it may come, how many arguments it has,
// whether everything behind it is one argument, and what it does.
type verb struct {
	state       state
	least, most int
	raw         bool
	do          func(*session, []string) error
}

func verbs() map[string]verb {
	return map[string]verb{
		"CAPA": {authorization | transaction, 0, 0, false, (*session).capa},
		"QUIT": {authorization | transaction, 0, 0, false, (*session).quit},
		"USER": {authorization, 1, 1, false, (*session).user},
		"PASS": {authorization, 1, 1, true, (*session).pass}, // A password may have spaces.
		"AUTH": {authorization, 0, 2, false, (*session).auth},
		"STLS": {authorization, 0, 0, false, (*session).stls},
		"STAT": {transaction, 0, 0, false, (*session).stat},
		"LIST": {transaction, 0, 1, false, (*session).scan},
		"UIDL": {transaction, 0, 1, false, (*session).uidl},
		"RETR": {transaction, 1, 1, false, (*session).retr},
		"TOP":  {transaction, 2, 2, false, (*session).top},
		"DELE": {transaction, 1, 1, false, (*session).dele},
		"RSET": {transaction, 0, 0, false, (*session).rset},
		"NOOP": {transaction, 0, 0, false, (*session).noop},
	}
}

var (
	errNumber  = fault("Not a number")
	errMessage = deny("No such message")
	errGone    = deny("Message is gone, another session has removed it")
	errRead    = deny("[SYS/TEMP] Message cannot be read, please try later")
	errUpdate  = &denial{text: "[SYS/TEMP] Some deleted messages not removed", ends: true}
)

// total returns how many messages are not marked as deleted, and their size.
func (s *session) total() (n int, size int64) {
	for i, marked := range s.marked {
		if !marked {
			n++
			size += s.drop.Size(i)
		}
	}
	return n, size
}

// message returns the index of the message that a client means. Its numbers
// begin with 1.
func (s *session) message(argument string) (int, error) {
	n, err := number(argument)
	switch {
	case err != nil:
		return 0, err
	case n < 1 || n > len(s.marked) || s.marked[n-1]:
		return 0, errMessage
	}
	return n - 1, nil
}

// number reads a number of digits only.
func number(argument string) (int, error) {
	n, err := strconv.ParseUint(argument, 10, 31)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt32, nil
	}
	if err != nil || argument[0] == '+' {
		return 0, errNumber
	}
	return int(n), nil
}

func (s *session) stat([]string) error {
	n, size := s.total()
	s.printf("+OK %d %d", n, size)
	return nil
}

func (s *session) scan(arguments []string) error {
	return s.each(arguments, func(i int) string { return strconv.FormatInt(s.drop.Size(i), 10) })
}

func (s *session) uidl(arguments []string) error {
	return s.each(arguments, s.drop.ID)
}

// each says something about the message that is asked for, or about all.
func (s *session) each(arguments []string, of func(i int) string) error {
	if len(arguments) == 1 {
		i, err := s.message(arguments[0])
		if err != nil {
			return err
		}
		s.printf("+OK %d %s", i+1, of(i))
		return nil
	}
	n, size := s.total()
	s.printf("+OK %d messages (%d octets)", n, size)
	for i, marked := range s.marked {
		if !marked {
			s.printf("%d %s", i+1, of(i))
		}
	}
	s.printf(".")
	return nil
}

func (s *session) retr(arguments []string) error {
	return s.send(arguments[0], everything)
}

func (s *session) top(arguments []string) error {
	lines, err := number(arguments[1])
	if err != nil {
		return err
	}
	return s.send(arguments[0], lines)
}

// send sends a message, or its header and the first lines of its body. When
// it cannot be read to its end the connection is cut, because an answer that
// has begun cannot be taken back, and a part must not pass for the whole.
func (s *session) send(argument string, lines int) error {
	i, err := s.message(argument)
	if err != nil {
		return err
	}
	s.link.Enter(connlog.StageDeliver)
	defer s.link.Enter(connlog.StageCommand)
	r, err := s.drop.Read(i)
	switch {
	case errors.Is(err, ErrGone):
		return errGone
	case err != nil:
		s.protocol.options.Logger.Error("message not read", "conn", s.link.ID(), "error", err)
		return errRead
	}
	defer func() { _ = r.Close() }() // It was only read.
	if lines == everything {
		s.printf("+OK %d octets", s.drop.Size(i))
	} else {
		s.printf("+OK Top of message follows")
	}
	t := &text{w: s.writer(), lines: lines}
	if err := s.copy(t, r); err != nil && !errors.Is(err, errEnough) {
		if s.flush() == nil { // The client is not to blame.
			s.protocol.options.Logger.Error("message not read", "conn", s.link.ID(), "error", err)
		}
		return errEnd
	}
	t.end()
	return s.flush()
}

// copy is io.Copy with a buffer that was used before.
func (s *session) copy(t *text, r io.Reader) error {
	buffer, ok := s.protocol.buffers.Get().(*[]byte)
	if !ok {
		buffer = new(make([]byte, outBytes))
	}
	defer s.protocol.buffers.Put(buffer)
	_, err := io.CopyBuffer(t, r, *buffer)
	return err
}

func (s *session) dele(arguments []string) error {
	i, err := s.message(arguments[0])
	if err != nil {
		return err
	}
	s.marked[i] = true
	s.printf("+OK Message %d deleted", i+1)
	return nil
}

func (s *session) rset([]string) error {
	clear(s.marked)
	n, size := s.total()
	s.printf("+OK %d messages (%d octets)", n, size)
	return nil
}

func (s *session) noop([]string) error {
	s.printf("+OK")
	return nil
}

// quit ends the session. Only here messages are removed.
func (s *session) quit([]string) error {
	if s.drop != nil {
		if err := s.update(); err != nil {
			return err
		}
	}
	s.printf("+OK Bye")
	return errEnd
}

// update removes what is marked and gives the mailbox back before the client
// hears of it: it may return at once.
func (s *session) update() error {
	var doomed []int
	for i, marked := range s.marked {
		if marked {
			doomed = append(doomed, i)
		}
	}
	var err error
	if len(doomed) > 0 {
		err = s.drop.Remove(doomed)
	}
	s.leave()
	if err != nil {
		s.protocol.options.Logger.Error("deleted messages not removed", "conn", s.link.ID(), "error", err)
		return errUpdate
	}
	return nil
}
