package detector

import "time"

// DefaultPolicies returns the policies that apply when nothing is configured.
// They are meant to be safe for a mail or web server with real users:
//
//   - An office behind one address, or a crowd, is busy but quick to prove
//     itself, and when the pool is full it is refused; it does not sit.
//   - A monitor that connects every second is 60 short connections a minute.
//   - A phone with a stale password fails once in a minute or in five, or a
//     few times at once.
//   - Hours of IMAP IDLE, and a bulk sender, are proven connections.
//
// Under pressure means that nine of ten threads are held and somebody was
// turned away within the last 40 seconds: one refusal reads 1 and fades to a
// half in that time.
func DefaultPolicies() []Policy {
	return []Policy{threadHogging(), longUnproven(), slowHogging(), failedLogins(), shortFlood()}
}

// threadHogging acts while the pool is full, within two seconds, on sources
// that sit on a twentieth of it (of small pools, on two threads) without
// having said anything of use.
//
// The mean age is what tells an attacker from an office: the office's
// unproven connections are few and milliseconds old, because they prove
// themselves or end. An attacker's age with the clock. The last line lets
// those be who get work done: for each thread they sit on they have proven
// one connection a minute over a quarter of an hour, or four in the last one.
// It matters when a slow step inside the server makes everybody sit, or a
// machine that has no time left for its server.
func threadHogging() Policy {
	return Policy{
		Name: "thread-hogging",
		When: `pool.busy >= 0.9 * pool.threads && pool.refused >= 0.5
&& unproven.open >= max(2, 0.04 * pool.threads) && unproven.mean_age >= 1.5
&& unproven.open > max(proven15, proven / 4)`,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// longUnproven acts while the pool is full on a single thread that has been
// held to no use for long: many addresses with one thread each fill a pool as
// well as one address does, and only time tells such a one from an honest slow
// client. A server that cuts slow connections sees them come back, so it is
// the thread's time that counts: 0.3 in load1 is 21 seconds of the last minute,
// in one piece or in several, for each thread it holds now and for each six
// connections that it opened in that minute: a burst of them is no long one.
// The ban is short, and whoever has proven a connection within about the last
// twenty minutes is let be: a half of 1/15 is what one proof fades to in ten
// minutes, and a quarter in twenty.
func longUnproven() Policy {
	return Policy{
		Name: "long-unproven",
		When: `pool.busy >= 0.9 * pool.threads && pool.refused >= 0.5
&& unproven.open >= 1 && unproven.load1 >= 0.3 * max(unproven.open, opens / 6)
&& proven15 < 0.015`,
		Action:   Ban,
		Duration: 5 * time.Minute,
		Escalate: doubling(),
	}
}

// slowHogging acts without pressure, on a source that for minutes keeps a
// twentieth of the pool with unproven connections. Nobody is harmed yet, so
// there is time to be sure: load5 gets there after three and a half minutes of
// twice as many. A big sender has as much unproven time, but proves something
// for each minute of it.
func slowHogging() Policy {
	return Policy{
		Name:     "slow-hogging",
		When:     `unproven.load5 >= max(2, 0.05 * pool.threads) && unproven.load5 > proven15`,
		For:      30 * time.Second,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// failedLogins acts on guessing of passwords: a dozen failures nearly at once,
// or thirty within a quarter of an hour. A phone that tries each minute reads
// 1 in both. Where most logins succeed it is an office with a few bad phones
// in it, so the failures must outnumber the proofs by three.
func failedLogins() Policy {
	return Policy{
		Name: "failed-logins",
		When: `logins_failed >= 12 && logins_failed > 3 * proven && logins_failed15 > 3 * proven15
|| logins_failed15 >= 2 && logins_failed15 > 3 * proven15`,
		Action:   Ban,
		Duration: 30 * time.Minute,
		Escalate: doubling(),
	}
}

// shortFlood acts on hundreds of connections a minute that say nothing of
// use: five times what a monitor does that connects every second, and ten for
// each that proves itself.
func shortFlood() Policy {
	return Policy{
		Name:     "short-flood",
		When:     `short >= 300 && short > 10 * proven && short / 15 > proven15`,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// doubling is how the defaults treat those that return: twice as long each
// time, a day at the most, forgotten after a week.
func doubling() Escalate {
	return Escalate{Factor: 2, Max: 24 * time.Hour, Memory: 7 * 24 * time.Hour}
}
