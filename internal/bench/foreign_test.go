package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// foreign is a log of another server, of many clients that are served at the
// same time.
type foreign struct {
	name   string
	args   []string // how analyze is told of it
	count  string   // mawk's program that counts its lines by source
	client func() client
}

// client writes the lines of one more client.
type client func(out io.Writer, at time.Time, n int, from string)

// foreigns are those that have to be read faster than mawk counts.
var foreigns = []foreign{
	{name: "postfix", args: []string{"--format", "postfix"}, count: `/: connect from /{n[$NF]++}`, client: postfixClients},
	{name: "haproxy", args: []string{"--format", "haproxy"}, count: `{split($6,a,":");n[a[1]]++}`, client: func() client { return haproxyClient }},
	{name: "nginx", args: []string{"--format", "nginx-time"}, count: `{n[$1]++}`, client: func() client { return nginxClient }},
}

// write writes a log of about so many bytes and returns how many they are.
func (f *foreign) write(b *testing.B, path string, size int64) int64 {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	rng := rand.New(rand.NewPCG(3, 4))
	zipf := rand.NewZipf(rng, 1.2, 8, 100_000)
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	counted, client := &counter{out: out}, f.client()
	for n := 0; counted.n < size; n++ {
		at = at.Add(time.Duration(rng.Int64N(int64(40 * time.Millisecond))))
		client(counted, at, n, source(5*zipf.Uint64()+1).String())
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return counted.n
}

// counter counts what is written.
type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.out.Write(p)
}

// waiting is how many clients of Postfix are served at once: the one that
// leaves came so many before.
const waiting = 32

func postfixClients() client {
	var last [waiting]string
	return func(out io.Writer, at time.Time, n int, from string) {
		if n >= waiting {
			postfixGone(out, at, n, last[n%waiting])
		}
		last[n%waiting] = from
		postfixClient(out, at, n, from)
	}
}

func postfixHead(at time.Time) string { return at.Format("Jan _2 15:04:05") + " mx1 postfix/" }

func postfixGone(out io.Writer, at time.Time, n int, from string) {
	fmt.Fprintf(out, "%ssmtpd[%d]: disconnect from unknown[%s] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n", postfixHead(at), 3000+n%waiting, from)
}

func postfixClient(out io.Writer, at time.Time, n int, from string) {
	head, smtpd := postfixHead(at), 3000+n%waiting
	id := fmt.Sprintf("%011X", 0xA1B2C3D0000+n)
	fmt.Fprintf(out, "%[1]ssmtpd[%[2]d]: connect from unknown[%[3]s]\n%[1]ssmtpd[%[2]d]: %[4]s: client=unknown[%[3]s]\n", head, smtpd, from, id)
	fmt.Fprintf(out, "%[1]scleanup[2049]: %[2]s: message-id=<20261123123516.%06[3]d@mail.example.org>\n", head, id, n%1_000_000)
	fmt.Fprintf(out, "%[1]sqmgr[2838]: %[2]s: from=<anna@example.org>, size=3994, nrcpt=1 (queue active)\n", head, id)
	fmt.Fprintf(out, "%[1]slmtp[17053]: %[2]s: to=<piet@example.net>, relay=mx1[private/dovecot-lmtp], delay=0.03, delays=0.02/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok)\n", head, id)
	fmt.Fprintf(out, "%[1]sqmgr[2838]: %[2]s: removed\n", head, id)
}

func haproxyClient(out io.Writer, at time.Time, n int, from string) {
	took := n * 7919 % 400
	fmt.Fprintf(out, "%s lb1 haproxy[1697]: %s:%d [%s] web~ app/server-%d 0/0/1/%d/%d 200 20318 - - ---- 121/121/12/3/0 0/0 \"GET /static/app/main.css?v=1032 HTTP/1.1\"\n",
		at.Format("Jan _2 15:04:05"), from, 20000+n%40000, at.Add(-time.Duration(took)*time.Millisecond).Format("02/Jan/2006:15:04:05.000"), n%7, took/2, took)
}

func nginxClient(out io.Writer, at time.Time, n int, from string) {
	fmt.Fprintf(out, "%s - - [%s] \"GET /static/app/main.css?v=1032 HTTP/1.1\" 200 20318 \"https://www.example.org/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0\" 0.%03d\n",
		from, at.Format("02/Jan/2006:15:04:05 -0700"), n*7919%400)
}
