package imap

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"overstay/server"
)

// nested is the example of RFC 3501, 6.4.5, made real.
const nested = `Subject: all
Content-Type: multipart/mixed; boundary="a"

preamble
--a

one
--a
Content-Type: application/octet-stream

two
two
--a
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/mixed; boundary=b

--b

three.one
--b
Content-Type: application/octet-stream

three.two
--b--
--a
Content-Type: multipart/mixed; boundary=c

--c
Content-Type: image/gif
Content-Disposition: attachment; filename="x.gif"
Content-Transfer-Encoding: BASE64

R0lG
--c
Content-Type: message/rfc822

Subject: deep
Content-Type: multipart/alternative; boundary=d

--d

plain
--d
Content-Type: text/html

<p>
--d--

--c--

--a--
epilogue
`

func wire(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func parseString(t testing.TB, text string) *part {
	t.Helper()
	p, err := parse(strings.NewReader(text), false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStructure(t *testing.T) {
	text := wire(nested)
	root := parseString(t, text)
	for _, c := range []struct {
		number []int
		kind   string
		body   string
		lines  int64
	}{
		{[]int{1}, "text/plain", "one", 0},
		{[]int{2}, "application/octet-stream", "two\r\ntwo", 1},
		{[]int{3, 1}, "text/plain", "three.one", 0},
		{[]int{3, 2}, "application/octet-stream", "three.two", 0},
		{[]int{4, 1}, "image/gif", "R0lG", 0},
		{[]int{4, 2, 1}, "text/plain", "plain", 0},
		{[]int{4, 2, 2}, "text/html", "<p>", 0},
	} {
		p := root.find(c.number)
		if p == nil {
			t.Errorf("%v: nothing", c.number)
			continue
		}
		if got := text[p.body:p.end]; got != c.body || p.kind+"/"+p.sub != c.kind || p.lines != c.lines {
			t.Errorf("%v: %s %q, %d lines", c.number, p.kind+"/"+p.sub, got, p.lines)
		}
	}
	for _, number := range [][]int{{0}, {5}, {1, 1}, {2, 1}, {3, 3}, {4, 3}, {4, 1, 1}, {4, 2, 3}, {-1}} {
		if p := root.find(number); p != nil {
			t.Errorf("%v: %q", number, text[p.start:p.end])
		}
	}
}

// Where the library's own slow way is right, ours is the same.
func TestSectionsAsTheLibraryHasThem(t *testing.T) {
	text := wire(nested)
	s := start(t, Options{}, server.Service{})
	deliver(t, s.mail, "anna", nested)
	c := s.client(t, "anna", nil)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	for _, number := range [][]int{nil, {1}, {2}, {3}, {3, 1}, {3, 2}, {4}, {4, 1}, {4, 2}, {4, 2, 1}, {4, 2, 2}} {
		for _, specifier := range []goimap.PartSpecifier{goimap.PartSpecifierNone, goimap.PartSpecifierHeader, goimap.PartSpecifierText, goimap.PartSpecifierMIME} {
			item := &goimap.FetchItemBodySection{Part: number, Specifier: specifier, Peek: true}
			if len(number) == 0 && specifier == goimap.PartSpecifierMIME {
				continue
			}
			if leaf := parseString(t, text).find(number); len(number) > 0 && !leaf.isMessage() &&
				(specifier == goimap.PartSpecifierHeader || specifier == goimap.PartSpecifierText) {
				continue // Only a message has those; the library gives something all the same.
			}
			want := imapserver.ExtractBodySection(strings.NewReader(text), item)
			got, err := c.Fetch(goimap.SeqSetNum(1), &goimap.FetchOptions{BodySection: []*goimap.FetchItemBodySection{item}}).Collect()
			if err != nil || len(got) != 1 || len(got[0].BodySection) != 1 {
				t.Fatalf("%v %s: %+v, %v", number, specifier, got, err)
			}
			if b := got[0].BodySection[0].Bytes; !bytes.Equal(b, want) {
				t.Errorf("%v %s: %q, want %q", number, specifier, b, want)
			}
		}
	}
	got, err := c.Fetch(goimap.SeqSetNum(1), &goimap.FetchOptions{BodyStructure: &goimap.FetchItemBodyStructure{Extended: true}, Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	got[0].BodyStructure.Walk(func(_ []int, p goimap.BodyStructure) bool {
		kinds = append(kinds, p.MediaType())
		return true
	})
	want := "multipart/mixed text/plain application/octet-stream message/rfc822 multipart/mixed image/gif message/rfc822"
	if strings.Join(kinds, " ") != want {
		t.Errorf("%q", kinds)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

// Messages that are made to hurt are answered, quickly and whole.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	s := start(t, Options{}, server.Service{})
	messages := []string{
		"",
		"\n",
		"no header at all",
		"not a field\nSubject: after it\n\nbody\n",
		" begins with a space\nSubject: x\n\nbody\n",
		": empty name\n\nbody\n",
		"Content-Type: multipart/mixed; boundary=x\n\nno parts\n",
		"Content-Type: multipart/mixed\n\nno boundary\n",
		"Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\n--\n",
		"Content-Type: multipart/mixed; boundary=x\n\n--x",
		"Content-Type: multipart/mixed; boundary=x\n\n--x--\n--x\n\n",
		"Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: in a digest\n\nbody\n--x--\n",
		"Content-Type: /\n\n", "Content-Type: text/\n\n", "Content-Type: \xff\xfe\n\n", "Content-Type: text/plain; a=\"\x00\"\n\n",
		"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n",
		"Subject: =?x-unknown?q?=FF?=\nFrom: <<>>,,\"\nTo: a@b@c, group: d@e;\nDate: never\nMessage-ID: \n\n",
		"Subject: a\r\n b\rc\x00\n\n",
		strings.Repeat("Content-Type: message/rfc822\n\n", 20_000),
		strings.Repeat("X: y\n", 200_000) + "\nbody",
		"Subject: " + strings.Repeat("long ", 200_000) + "\n\nbody",
		"Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n\n", 50_000),
		deepMultipart(2000),
	}
	for _, m := range messages {
		deliver(t, s.mail, "anna", m)
	}
	c := s.login(t, "anna")
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.say("a SELECT INBOX", "a OK")
	for _, ask := range []string{
		"FETCH 1:* (ENVELOPE BODYSTRUCTURE)", "FETCH 1:* BODY", "FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject X)]",
		"FETCH 1:* (BODY.PEEK[1.1.1.1] BODY.PEEK[1.MIME] BODY.PEEK[2.HEADER] BODY.PEEK[HEADER] BODY.PEEK[TEXT])",
		"SEARCH SUBJECT x", "SEARCH BODY nowhere", "SEARCH TEXT nowhere", "SEARCH SENTBEFORE 1-Jan-2020",
	} {
		if got := c.say("b "+ask, "b OK"); strings.HasPrefix(ask, "FETCH") && strings.Count(got, " FETCH (") < len(messages) {
			t.Errorf("%s: %d answers", ask, strings.Count(got, " FETCH ("))
		}
	}
	// All of each message arrives, whatever its header is like.
	for i, m := range messages {
		got := c.say("c FETCH "+itoa(i+1)+" BODY.PEEK[]", "c OK")
		if want := wire(strings.ReplaceAll(m, "\r\n", "\n")); !strings.Contains(got, "{"+itoa(len(want))+"}\r\n"+want+")\r\n") {
			t.Errorf("message %d: %d octets of %d", i+1, len(got), len(want))
		}
	}
}

// deepMultipart returns multiparts within each other.
func deepMultipart(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("Content-Type: multipart/mixed; boundary=x" + itoa(i) + "\n\n--x" + itoa(i) + "\n")
	}
	return b.String()
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		want          bool
	}{
		{"INBOX", "*", true}, {"INBOX", "inbox", true}, {"INBOX", "%", true}, {"INBOX", "in*", true},
		{"a/b", "*", true}, {"a/b", "%", false}, {"a/b", "a/%", true}, {"a/b", "%/%", true}, {"a/b", "a*b", true},
		{"a/b", "a%b", false}, {"a", "", false}, {"a", "a", true}, {"a", "A", false}, {"ab", "%b*", true},
		{strings.Repeat("a", 200), strings.Repeat("*a", 500), false}, {strings.Repeat("a", 200), strings.Repeat("*a", 150), true},
	} {
		if got := matches(c.name, c.pattern); got != c.want {
			t.Errorf("%.20q %.20q: %v", c.name, c.pattern, got)
		}
	}
}

// A structure has only parts that lie within each other, whatever the message.
func FuzzStructure(f *testing.F) {
	f.Add([]byte(wire(nested)))
	f.Add([]byte("Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: y\r\n--x--"))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n--"))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := parse(bytes.NewReader(text), false)
		if err != nil {
			t.Fatal(err)
		}
		if root.end != int64(len(text)) {
			t.Errorf("end %d of %d", root.end, len(text))
		}
		var check func(p *part, depth int)
		check = func(p *part, depth int) {
			if p.start < 0 || p.body < p.start || p.end < p.body || p.end > int64(len(text)) || p.lines < 0 || depth > maxDepth {
				t.Errorf("depth %d: %+v", depth, p)
			}
			for _, child := range p.children {
				if child.start < p.body || child.end > p.end {
					t.Errorf("%+v is not within %+v", child, p)
				}
				check(child, depth+1)
			}
		}
		check(root, 1)
		_ = bodyStructure(root)
		_ = envelope(root.header)
		for _, f := range fields(root.header) {
			if !bytes.Contains(root.header, f.raw) || f.name == "" {
				t.Errorf("field %q %q", f.name, f.raw)
			}
		}
		only, err := parse(bytes.NewReader(text), true)
		if err != nil || only.body != root.body || !bytes.Equal(only.header, root.header) {
			t.Errorf("header only: %+v, %v", only, err)
		}
		_ = streamContains(io.LimitReader(bytes.NewReader(text), 100), []byte("x"))
	})
}
