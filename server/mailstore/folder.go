package mailstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Inbox is the folder that mail is delivered to. It always exists.
const Inbox = "INBOX"

// Separator stands between a folder's name and that of its child.
const Separator = "/"

// Errors of folders.
var (
	ErrNoFolder     = errors.New("mailstore: no such folder")
	ErrFolderExists = errors.New("mailstore: folder exists")
	// ErrFolderName means that a folder cannot have that name.
	ErrFolderName = errors.New("mailstore: not a valid folder name")
	// ErrFolders means that the user has as many folders as one may have.
	ErrFolders = errors.New("mailstore: too many folders")
)

const (
	maxFolderBytes = 200 // so that the file system takes the name
	maxFolders     = 1000
)

// folderDir returns the name of a folder's directory within the user's
// Maildir (Maildir++): nothing for the inbox, ".Work.2026" for Work/2026.
func folderDir(folder string) (string, error) {
	if folder == Inbox {
		return "", nil
	}
	if len(folder) > maxFolderBytes || !utf8.ValidString(folder) {
		return "", fmt.Errorf("%w: %.250q", ErrFolderName, folder)
	}
	parts := strings.Split(folder, Separator)
	for _, part := range parts {
		if part == "" || strings.ContainsFunc(part, badInFolder) {
			return "", fmt.Errorf("%w: %q", ErrFolderName, folder)
		}
	}
	if strings.EqualFold(parts[0], Inbox) {
		return "", fmt.Errorf("%w: %q", ErrFolderName, folder)
	}
	return "." + strings.Join(parts, "."), nil
}

// badInFolder tells what may not stand in a folder's name: the dot separates
// on the disk, and the wildcards of IMAP could not be asked for.
func badInFolder(r rune) bool {
	return r == '.' || r == '*' || r == '%' || !unicode.IsGraphic(r)
}

// folderName is the inverse of folderDir.
func folderName(dir string) (string, bool) {
	if len(dir) < 2 || dir[0] != '.' {
		return "", false
	}
	name := strings.ReplaceAll(dir[1:], ".", Separator)
	back, err := folderDir(name)
	return name, err == nil && back == dir
}

// Folders returns the names of a user's folders in order, the inbox first.
func (s *Store) Folders(user string) ([]string, error) {
	a, err := s.account(user)
	if err != nil {
		return nil, err
	}
	defer s.done(a)
	return a.folders()
}

func (a *account) folders() ([]string, error) {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, fmt.Errorf("mailstore: list folders: %w", err)
	}
	names := []string{Inbox}
	for _, e := range entries {
		if name, ok := folderName(e.Name()); ok && e.IsDir() {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	return names, nil
}

// CreateFolder makes a folder, and the folders above it.
func (s *Store) CreateFolder(user, folder string) error {
	return s.withLock(user, func(a *account) error { return a.create(folder) })
}

func (a *account) create(folder string) error {
	dir, err := folderDir(folder)
	if err != nil {
		return err
	}
	if a.exists(dir) {
		return fmt.Errorf("%w: %s", ErrFolderExists, folder)
	}
	return a.makeFolders(append(parents(folder), folder))
}

// parents returns the names of the folders that a folder is in.
func parents(folder string) (l []string) {
	for i := range len(folder) {
		if folder[i] == Separator[0] {
			l = append(l, folder[:i])
		}
	}
	return l
}

// makeFolders makes those of the folders that do not exist.
func (a *account) makeFolders(folders []string) error {
	names, err := a.folders()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if slices.Contains(names, folder) {
			continue
		}
		if len(names) >= maxFolders {
			return ErrFolders
		}
		dir, err := folderDir(folder)
		if err != nil {
			return err
		}
		if err := a.store.makeMaildir(filepath.Join(a.dir, dir)); err != nil {
			return deliveryError("make the folder", err)
		}
		names = append(names, folder)
	}
	return nil
}

func (a *account) exists(dir string) bool {
	info, err := os.Stat(filepath.Join(a.dir, dir))
	return err == nil && info.IsDir()
}

// DeleteFolder removes a folder and the messages in it; its children stay.
func (s *Store) DeleteFolder(user, folder string) error {
	return s.withLock(user, func(a *account) error {
		dir, err := folderDir(folder)
		if err != nil {
			return err
		}
		if dir == "" {
			return fmt.Errorf("%w: the inbox stays", ErrFolderName)
		}
		// It goes at once and as a whole; what a crash leaves in tmp is swept.
		gone := filepath.Join(a.dir, "tmp", "deleted."+s.uniqueName())
		if err := s.disk.Rename(filepath.Join(a.dir, dir), gone); err != nil {
			return folderError("delete", folder, err)
		}
		a.usage.forget()
		if err := s.disk.SyncDir(a.dir); err != nil {
			return folderError("delete", folder, err)
		}
		_ = os.RemoveAll(gone) // Later, then.
		return nil
	})
}

// RenameFolder gives a folder and its children another name. Renaming the
// inbox moves its messages to a new folder.
func (s *Store) RenameFolder(user, from, to string) error {
	if from == Inbox {
		return s.renameInbox(user, to)
	}
	return s.withLock(user, func(a *account) error { return a.rename(from, to) })
}

func (a *account) rename(from, to string) error {
	fromDir, err := folderDir(from)
	if err != nil {
		return err
	}
	toDir, err := folderDir(to)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(to, from+Separator):
		return fmt.Errorf("%w: %q lies within %q", ErrFolderName, to, from)
	case !a.exists(fromDir):
		return fmt.Errorf("%w: %s", ErrNoFolder, from)
	}
	names, err := a.folders()
	if err != nil {
		return err
	}
	moves := [][2]string{{fromDir, toDir}}
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, from+Separator); ok {
			target, err := folderDir(to + Separator + rest)
			if err != nil {
				return err
			}
			moves = append(moves, [2]string{fromDir + "." + strings.ReplaceAll(rest, Separator, "."), target})
		}
	}
	for _, m := range moves {
		if a.exists(m[1]) {
			return fmt.Errorf("%w: %s", ErrFolderExists, to)
		}
	}
	if err := a.makeFolders(parents(to)); err != nil {
		return err
	}
	a.usage.forget()
	for _, m := range moves {
		if err := a.store.disk.Rename(filepath.Join(a.dir, m[0]), filepath.Join(a.dir, m[1])); err != nil {
			return folderError("rename", from, err)
		}
	}
	return a.store.disk.SyncDir(a.dir)
}

func (s *Store) renameInbox(user, to string) error {
	if err := s.CreateFolder(user, to); err != nil {
		return err
	}
	m, err := s.Open(user)
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := m.Look()
	if err != nil {
		return err
	}
	uids := make([]uint32, len(l.Messages))
	for i := range l.Messages {
		uids[i] = l.Messages[i].UID
	}
	_, err = m.Move(uids, to)
	return err
}

func folderError(doing, folder string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrNoFolder, folder)
	}
	return deliveryError(doing+" the folder", err)
}
