package main

import (
	"fmt"
	"os/exec"
	"testing"
)

// heldBySource is mawk's program that adds up what each address held.
const heldBySource = `
/"event":"close"/ {
	match($0, /"client_ip":"[^"]*/); ip = substr($0, RSTART+13, RLENGTH-13)
	if (match($0, /"held_us":[0-9]*/)) held[ip] += substr($0, RSTART+10, RLENGTH-10)
	n[ip]++
}
END { for (ip in n) if (held[ip] > most) { most = held[ip]; who = ip }; print who, n[who], most }`

// BenchmarkNative reads the log of a server that turned nobody away: everything
// that analyze adds up, beside others who add up a part.
func BenchmarkNative(b *testing.B) {
	log := inTemporary(b, "connections.log")
	size := writeNative(b, log, logSize(1000), false)
	together(b,
		analyze("ours", size, overstay(b), log),
		duckdb(b, size, log),
		command("mawk", size, "mawk", heldBySource, log),
		command("wc", size, "wc", "-l", log),
	)
}

// BenchmarkAttacked reads the log of a server under attack: the detector and the
// diagnosis read it a second time.
func BenchmarkAttacked(b *testing.B) {
	log := inTemporary(b, "connections.log")
	size := writeNative(b, log, logSize(250), true)
	together(b, analyze("ours", size, overstay(b), log))
}

// BenchmarkForeign reads the logs of other servers, beside mawk, which counts
// the lines of each source and nothing else, and the tools that are made for
// these logs.
func BenchmarkForeign(b *testing.B) {
	program := overstay(b)
	for i := range foreigns {
		f := &foreigns[i]
		b.Run(f.name, func(b *testing.B) {
			log := inTemporary(b, f.name+".log")
			size := f.write(b, log, logSize(300))
			together(b,
				analyze("ours", size, program, append(f.args, log)...),
				command("mawk", size, "mawk", f.count+" END { for (ip in n) if (n[ip] > most) { most = n[ip]; who = ip }; print who, most }", log),
				f.beside(b),
			)
		})
	}
}

// beside is the tool made for such a log, which is given a smaller one.
func (f *foreign) beside(b *testing.B) *tool {
	b.Helper()
	log := inTemporary(b, f.name+".log")
	switch f.name {
	case "postfix":
		return command("fail2ban", f.write(b, log, logSize(5)), "fail2ban-regex", log, "/etc/fail2ban/filter.d/postfix.conf")
	case "nginx":
		return command("goaccess", f.write(b, log, logSize(50)), "goaccess", "--no-global-config", "--no-progress", "--output-format", "json",
			"--log-format", `%h %^[%d:%t %^] "%r" %s %b "%R" "%u" %T`, "--date-format", "%d/%b/%Y", "--time-format", "%T", log)
	}
	return nil
}

// BenchmarkThree reads three logs one after the other, on all cores.
func BenchmarkThree(b *testing.B) {
	program := overstay(b)
	var all int64
	ours, mawk := "set -e; ", "set -e; "
	for i := range foreigns {
		f := &foreigns[i]
		log := inTemporary(b, f.name+".log")
		all += f.write(b, log, logSize(333))
		ours += fmt.Sprintf("%q analyze --json", program)
		for _, arg := range f.args {
			ours += " " + arg
		}
		ours += fmt.Sprintf(" %q; ", log)
		mawk += fmt.Sprintf("mawk '%s END { for (ip in n) print ip, n[ip] }' %q; ", f.count, log)
	}
	if _, err := exec.LookPath("mawk"); err != nil {
		mawk = "exit 0"
	}
	together(b, command("ours", all, "sh", "-c", ours), command("mawk", all, "sh", "-c", mawk))
}
