package mailstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Errors of Authenticate.
var (
	// ErrLogin is a wrong name or password; which of them is not told.
	ErrLogin = errors.New("mailstore: wrong user or password")
	// ErrBusy means that the login waited too long to be checked.
	ErrBusy = errors.New("mailstore: too many logins at a time")
	// ErrCrowd is an ErrBusy that the source has itself to blame for.
	ErrCrowd = fmt.Errorf("%w from one source", ErrBusy)
)

const (
	maxNameBytes = 64
	// bcryptAlphabet is what salt and hash are written in.
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	maxUsersLine  = 1 << 10
	maxUsersBytes = 64 << 20
	// maxCost bounds how long one login takes: at 14 about a second.
	maxCost = 14
)

// UsersError is a line of the user file that cannot be understood.
type UsersError struct {
	Path    string
	Line    int // from 1
	Problem string
}

func (e *UsersError) Error() string {
	return fmt.Sprintf("mailstore: %s:%d: %s", e.Path, e.Line, e.Problem)
}

// UsersOptions are the settings of Users.
type UsersOptions struct {
	// Checks is how many passwords are checked at a time. The default is half
	// of the processors, but at least one.
	Checks int
	Logger *slog.Logger // nil discards
}

// Users are the users of a file. Its methods may be called at the same time.
//
// The file has a line "name:hash" for each user. Empty lines and those that
// begin with # are skipped. It is looked at before each answer and read again
// if it has changed. While it is missing or wrong, what was read last counts.
type Users struct {
	path   string
	logger *slog.Logger
	turns  *turns // for checks of passwords

	table atomic.Pointer[userTable]

	mu   sync.Mutex // held while the file is looked at
	seen fileMark
}

// userTable is one reading of the file; it does not change.
type userTable struct {
	hashes map[string][]byte
	// nobody stands for users that do not exist: a hash of the highest cost
	// in the file that no password fits.
	nobody []byte
}

// fileMark tells one state of a file from another.
type fileMark struct {
	device, inode uint64
	size          int64
	modified      time.Time
}

// OpenUsers reads the user file. A line that cannot be understood is a
// *UsersError.
func OpenUsers(path string, o UsersOptions) (*Users, error) {
	if o.Checks <= 0 {
		o.Checks = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	u := &Users{
		path:   path,
		logger: o.Logger,
		turns:  newTurns(o.Checks),
	}
	mark, err := u.look()
	if err != nil {
		return nil, err
	}
	if err := u.read(mark); err != nil {
		return nil, err
	}
	return u, nil
}

// Exists tells whether there is a user of that name. Upper and lower case are
// the same.
func (u *Users) Exists(name string) bool {
	_, ok := u.current().hashes[strings.ToLower(name)]
	return ok
}

// Len returns the number of users.
func (u *Users) Len() int { return len(u.current().hashes) }

// Authenticate checks a password. It returns the user's name as it stands in
// the file, or ErrLogin, or ErrBusy, or ctx's error. It takes the same time
// for a user that does not exist. Sources that log in at the same time take
// turns, so none can keep the others out.
func (u *Users) Authenticate(ctx context.Context, source netip.Prefix, name, password string) (string, error) {
	if err := u.turns.take(ctx, source); err != nil {
		return "", err
	}
	defer u.turns.give()
	table := u.current()
	name = strings.ToLower(name)
	hash, ok := table.hashes[name]
	if !ok {
		hash = table.nobody
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !ok {
		return "", ErrLogin
	}
	return name, nil
}

// current returns the users, read again if the file has changed.
func (u *Users) current() *userTable {
	if u.mu.TryLock() { // Somebody else is looking already.
		defer u.mu.Unlock()
		if mark, err := u.look(); err != nil {
			u.complain(fileMark{}, err)
		} else if mark != u.seen {
			if err := u.read(mark); err != nil {
				u.complain(mark, err)
			}
		}
	}
	return u.table.Load()
}

// complain logs why the file is not used, once for each state of it.
func (u *Users) complain(mark fileMark, err error) {
	if u.seen != mark {
		u.logger.Error("user file not used, the users read before remain", "error", err)
	}
	u.seen = mark
}

func (u *Users) look() (fileMark, error) {
	info, err := os.Stat(u.path)
	if err != nil {
		return fileMark{}, fmt.Errorf("mailstore: user file: %w", err)
	}
	mark := fileMark{size: info.Size(), modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		mark.device, mark.inode = st.Dev, st.Ino
	}
	return mark, nil
}

// read reads the file, and keeps mark if it is right.
func (u *Users) read(mark fileMark) error {
	f, err := os.Open(u.path)
	if err != nil {
		return fmt.Errorf("mailstore: user file: %w", err)
	}
	defer func() { _ = f.Close() }() // It was only read.
	table, err := parseUsers(u.path, f)
	if err != nil {
		return err
	}
	u.table.Store(table)
	u.seen = mark
	return nil
}

func parseUsers(path string, r io.Reader) (*userTable, error) {
	t := &userTable{hashes: make(map[string][]byte)}
	cost, line := bcrypt.MinCost, 0
	lines := bufio.NewScanner(io.LimitReader(r, maxUsersBytes))
	lines.Buffer(nil, maxUsersLine)
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		name, hash, found := strings.Cut(text, ":")
		c, problem := checkUser(name, hash, found)
		if _, twice := t.hashes[name]; twice && problem == "" {
			problem = fmt.Sprintf("user %q stands here twice", name)
		}
		if problem != "" {
			return nil, &UsersError{Path: path, Line: line, Problem: problem}
		}
		t.hashes[name] = []byte(hash)
		cost = max(cost, c)
	}
	if err := lines.Err(); err != nil {
		return nil, &UsersError{Path: path, Line: line + 1, Problem: err.Error()}
	}
	t.nobody = fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 53))
	return t, nil
}

// checkUser returns the cost of the hash, or what is wrong with the line. The
// problem never quotes the hash.
func checkUser(name, hash string, found bool) (cost int, problem string) {
	switch {
	case !found:
		return 0, "expected name:hash"
	case !ValidName(name):
		return 0, fmt.Sprintf("%q is not a valid user name (a-z, 0-9 and . _ - inside)", name)
	case len(hash) != 60 || !strings.HasPrefix(hash, "$2") || strings.Trim(hash[7:], bcryptAlphabet) != "":
		return 0, "not a bcrypt hash (htpasswd -B makes one)"
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return 0, "not a bcrypt hash (htpasswd -B makes one)"
	case cost > maxCost:
		return 0, fmt.Sprintf("a cost of %d is too slow for logins (at most %d)", cost, maxCost)
	}
	return cost, ""
}

// ValidName tells whether name can be that of a user: 1 to 64 of a-z, 0-9,
// and between them also the dot, the underscore and the hyphen. So it is
// always one plain path element.
func ValidName(name string) bool {
	if name == "" || len(name) > maxNameBytes {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case (c == '.' || c == '_' || c == '-') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	return true
}
