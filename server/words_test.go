package server

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for _, good := range []Words{{}, {Busy: "Come back later!", BanSilently: true}, {Sessions: strings.Repeat("x", maxWordsBytes)}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for key, bad := range map[string]Words{
		"words.busy:":     {Busy: "a\r\n250 b"},
		"words.sessions:": {Sessions: "a\x00"},
		"words.banned:":   {Banned: "später"},
	} {
		if err := bad.Check(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if (Words{Banned: strings.Repeat("x", maxWordsBytes+1)}).Check() == nil {
		t.Error("too long a line is taken")
	}
}
