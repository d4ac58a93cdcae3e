package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"syscall"

	"overstay/banlist"
	"overstay/connlog"
	"overstay/internal/app"
	"overstay/server"
	"overstay/server/mailstore"
)

// explain says what went wrong and, where there is something to be done, what.
func explain(err error) (what, hint string) {
	what = err.Error()
	var usage *usageError
	var config *app.ConfigError
	var unreadable *unreadableError
	var listen *server.ListenError
	var noList *noListError
	var noUsers *noUsersError
	var noSuggestion *noSuggestionError
	var inside *banlist.InsideError
	var notAllowed *notAllowedError
	var operators *app.OperatorError
	var noEvents *app.NoEventsError
	var noPool *app.NoPoolError
	var foreign *app.ForeignLogError
	var noService *app.NoServiceError
	var outOfRange *app.OutOfRangeError
	var unsized *app.UnsizedError
	var format *app.FormatError
	var disorder *app.DisorderError
	switch {
	case errors.As(err, &format):
		hint = "Formats that are known: overstay formats. More: overstay analyze --help"
	case errors.As(err, &usage):
		hint = "Usage: " + usage.command + " --help"
	case errors.As(err, &config):
		hint = "All settings with their defaults: overstay config example"
	case errors.As(err, &unreadable):
		hint = "A file to begin with: overstay config example > FILE"
	case errors.Is(err, context.Canceled):
		what = "interrupted"
	case errors.As(err, &listen):
		hint = listenHint(listen)
	case errors.As(err, &noList):
		hint = "Name the folder with --state, or the configuration with --config. serve, ban and allow begin a list."
	case errors.As(err, &noUsers):
		hint = "Name the folder with --state, or the configuration with --config. user add begins a user file."
	case errors.As(err, &noSuggestion):
		hint = "Those that wait: overstay review list"
	case errors.As(err, &inside):
		what = "it is banned as part of " + sourceText(inside.Net.Prefix)
		hint = insideHint(inside.Prefix, inside.Net.Prefix)
	case errors.As(err, &noEvents):
		hint = noEventsHint(noEvents)
	case errors.As(err, &noPool), errors.As(err, &noService):
		// It names those that there are.
	case errors.As(err, &foreign):
		hint = "Make it one with overstay convert LOG > conn.log, or look at it with overstay analyze LOG."
	case errors.Is(err, app.ErrMomentOrder):
		hint = "A time without a zone is this machine's; 15:04 and 2h count from the log's end."
	case errors.Is(err, app.ErrStdinAlone):
		hint = "Read the files alone, or all of them by: cat LOG... | overstay ... -"
	case errors.As(err, &outOfRange):
		hint = "It tells of " + spanText(outOfRange.From, outOfRange.To) + "."
	case errors.As(err, &operators), errors.Is(err, errOperatorsUnknown):
		hint = "If you mean it: --force"
	case errors.As(err, &notAllowed):
		hint = "What is on the allow list: overstay allow"
	case errors.Is(err, errNothingImported):
		hint = "Mend the lines, or leave them out with --skip."
	case errors.As(err, &disorder):
		hint = "Sort the log by time, or read logs of several servers apart."
	case errors.As(err, &unsized):
		hint = "Say so with --threads " + unsized.Pool + "=N."
	case errors.Is(err, app.ErrFormatUnknown):
		hint = "Formats that are known, and what each can tell: overstay formats. To name one: --format."
	case strings.HasPrefix(what, "connection log: ") && errors.Is(err, fs.ErrNotExist):
		hint = "Name the log, or the folder it is in with --state. serve writes it."
	case isLog(what) && errors.Is(err, fs.ErrPermission):
		hint = "Give this user the right to read it."
	case isLog(what) && errors.Is(err, syscall.ENOTDIR):
		hint = "A part of the path is a file, not a folder."
	default:
		hint = causeHint(err)
	}
	return what, hint
}

// isLog reports whether an error is about a log that a command is to read.
func isLog(what string) bool {
	return strings.HasPrefix(what, "log ") || strings.HasPrefix(what, "connection log: ")
}

// noEventsHint says what to do about a log in which there is nothing to read.
func noEventsHint(err *app.NoEventsError) string {
	switch {
	case err.Newer:
		return "Read it by the version that wrote it, or a newer one."
	case err.Lines == 0:
		return ""
	}
	return "Formats that are known, and what each can tell: overstay formats. To name one: --format. What is wrong with the first lines: -v."
}

// causeHint finds the way out of an error by its cause.
func causeHint(err error) string {
	switch {
	case errors.Is(err, banlist.ErrDamaged):
		return "End all overstay processes, move the file and its -wal and -shm away, start again. " +
			"What can be saved of it: sqlite3 FILE .recover. The log still bans whom it shows."
	case errors.Is(err, banlist.ErrNewer):
		return "Use the newer version of overstay that made it, or another --state folder."
	case errors.Is(err, banlist.ErrBusy):
		return "Another process holds the list. Try again."
	case errors.Is(err, banlist.ErrAllowed):
		return "Take it off the allow list first: overstay allow --remove"
	case errors.Is(err, banlist.ErrTooWide):
		return "If you mean it: --force"
	case errors.Is(err, banlist.ErrNotFound):
		return "What is on the list: overstay bans --all"
	case errors.Is(err, mailstore.ErrUserExists):
		return "Another password for it: overstay user passwd NAME"
	case errors.Is(err, mailstore.ErrNoUser):
		return "Those that there are: overstay user list"
	case errors.Is(err, mailstore.ErrUsersBusy):
		return "Try again when that is done."
	case errors.Is(err, errManyLines):
		return "Only the password, on one line: printf '%s\\n' \"$PASSWORD\" | overstay user add NAME"
	case errors.Is(err, connlog.ErrInUse):
		return "Another overstay serve uses this folder. End it, or name another folder with --state."
	case errors.Is(err, banlist.ErrNoSpace), errors.Is(err, syscall.ENOSPC):
		return "The disk is full. Make room; nothing that was acknowledged is lost."
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "Give this user the right to write there, or name another folder with --state."
	case errors.Is(err, syscall.ENOTDIR):
		return "A part of the path is a file, not a folder. Name another folder with --state."
	}
	return ""
}

// insideHint says how to free hosts that are banned as part of a net.
func insideHint(hosts, net netip.Prefix) string {
	return "Lift the net with overstay unban " + sourceText(net) + ", or let this one through with overstay allow " + sourceText(hosts)
}

func listenHint(err *server.ListenError) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "Another program listens there. End it, or set another port for the service " + err.Service + " (overstay config example > FILE, then serve --config FILE)."
	case errors.Is(err, syscall.EACCES):
		return "Ports below 1024 need a privilege: CAP_NET_BIND_SERVICE, or a port above."
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "This machine does not have that address."
	case strings.Contains(err.Error(), "no such host"):
		return "The host name does not resolve."
	}
	return ""
}
