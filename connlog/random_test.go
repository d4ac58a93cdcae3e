package connlog

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// unraced is a number of rounds, fewer under the race detector, which slows
// down what has no second goroutine as well.
func unraced(rounds int) int {
	if raceEnabled {
		return rounds / 5
	}
	return rounds
}

// randomEvent returns an event as Parse would return it: only what its kind
// has, and only texts that are valid UTF-8.
func randomEvent(rng *rand.Rand) Event {
	e := Event{
		Time: time.Unix(1795000000+rng.Int64N(1e7), rng.Int64N(1e6)*1000).UTC(),
		Boot: "k3v9s0q2m4x7a1bz", Seq: randomUint(rng), Kind: Start + Kind(rng.IntN(int(Stop))),
	}
	switch e.Kind {
	case Open, Proven, Fail, Close, Refuse:
		e.Service, e.Conn, e.ClientIP = randomText(rng), randomUint(rng), randomAddr(rng)
	}
	switch e.Kind {
	case Open:
		e.ClientPort = uint16(randomUint(rng))
		e.Busy, e.Threads, e.Fails = randomInt(rng), randomInt(rng), randomInt(rng)
		e.Held, e.Proven = randomDuration(rng), rng.IntN(2) == 0
	case Proven:
		e.By, e.User = By(randomText(rng)), randomText(rng)
	case Fail:
		e.What, e.User = What(randomText(rng)), randomText(rng)
	case Close:
		e.Held, e.Proven, e.Fails = randomDuration(rng), rng.IntN(2) == 0, randomInt(rng)
		for i := range e.Stages {
			e.Stages[i] = randomDuration(rng)
		}
		e.BytesIn, e.BytesOut, e.End = int64(randomInt(rng)), int64(randomInt(rng)), End(randomText(rng))
	case Refuse:
		e.Reason, e.Busy, e.Threads, e.Count = RefuseBusy, randomInt(rng), randomInt(rng), randomUint(rng)
	case Start:
		e.Schema, e.Version, e.Host = SchemaVersion, randomText(rng), randomText(rng)
		e.Continued = rng.IntN(2) == 0
		for range rng.IntN(4) {
			e.Services = append(e.Services, Service{
				Service: randomText(rng) + "s", Pool: randomText(rng), Listen: "127.0.0.1:2525",
				Threads: randomInt(rng), SessionsPerSource: randomInt(rng),
			})
		}
	case Beat:
		for range rng.IntN(4) {
			e.Services = append(e.Services, Service{
				Service: randomText(rng) + "s", Busy: randomInt(rng), Threads: randomInt(rng), Refused: randomUint(rng),
			})
		}
	case Lost:
		e.Count = randomUint(rng)
	case Stop:
		e.Reason = Reason(randomText(rng))
	}
	for i := range e.Services {
		if s := &e.Services[i]; s.Pool == s.Service {
			s.Pool = ""
		}
	}
	return e
}

// randomUint is of any size, and often zero.
func randomUint(rng *rand.Rand) uint64 { return rng.Uint64() >> rng.IntN(65) }

func randomInt(rng *rand.Rand) int { return int(randomUint(rng) & math.MaxInt) }

func randomDuration(rng *rand.Rand) time.Duration {
	return time.Duration(randomUint(rng)%(math.MaxInt64/1000)) * time.Microsecond
}

func randomText(rng *rand.Rand) string {
	texts := []string{"", "smtp", "anna@example.org", "a \"quoted\" name", "line\nfeed", "tab\t\x00\x1f", "h\u00e4\u00df\u2028\U0001f600", `C:\mail`}
	return texts[rng.IntN(len(texts))]
}

func randomAddr(rng *rand.Rand) netip.Addr {
	switch rng.IntN(8) {
	case 0:
		return netip.Addr{}
	case 1:
		return netip.MustParseAddr("fe80::1%eth0")
	case 2, 3, 4:
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(256))})
	}
	b := netip.MustParseAddr("2001:db8::").As16()
	b[15], b[9] = byte(rng.IntN(256)), byte(rng.IntN(2))
	return netip.AddrFrom16(b)
}
