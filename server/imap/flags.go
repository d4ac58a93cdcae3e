package imap

import (
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"overstay/server/mailstore"
)

// recent is the flag of messages that no session has seen before.
const recent goimap.Flag = "\\Recent"

// flagPairs are the flags that are kept.
func flagPairs() []struct {
	imap goimap.Flag
	mail mailstore.Flags
} {
	return []struct {
		imap goimap.Flag
		mail mailstore.Flags
	}{
		{goimap.FlagAnswered, mailstore.Replied},
		{goimap.FlagFlagged, mailstore.Flagged},
		{goimap.FlagDeleted, mailstore.Trashed},
		{goimap.FlagSeen, mailstore.Seen},
		{goimap.FlagDraft, mailstore.Draft},
		{goimap.FlagForwarded, mailstore.Passed},
	}
}

// flagsOf returns those of the flags that are kept.
func flagsOf(l []goimap.Flag) (f mailstore.Flags) {
	for _, flag := range l {
		for _, p := range flagPairs() {
			if strings.EqualFold(string(flag), string(p.imap)) {
				f |= p.mail
			}
		}
	}
	return f
}

// flagList is the inverse of flagsOf.
func flagList(f mailstore.Flags, isRecent bool) []goimap.Flag {
	l := []goimap.Flag{}
	for _, p := range flagPairs() {
		if f&p.mail != 0 {
			l = append(l, p.imap)
		}
	}
	if isRecent {
		l = append(l, recent)
	}
	return l
}
