package detector

import "time"

// DefaultPolicies returns the policies that apply when nothing is configured.
// They are meant to be safe for a mail or web server with real users:
//
//   - An office behind one address, or a crowd, is busy but quick to prove
//     itself, and when the pool is full it is refused; it does not sit.
//   - Phones on slow links, and messages that wait for a scanner, take their
//     time, but all of them do: pool.prove_time says how long it takes here.
//   - A monitor that connects every second is 60 short connections a minute.
//   - A phone with a stale password fails once in a minute or in five, or a
//     few times at once.
//   - Hours of IMAP IDLE, and a bulk sender, are proven connections.
//
// Those that act under pressure act only where a ban averts refusals, and stand
// in the order of their patience. Where it is not certain that a source does
// nothing else, they suggest.
func DefaultPolicies() []Policy {
	return []Policy{
		threadHogging(), netHogging(), returning(), spreadOut(), longUnproven(),
		sharedHogging(), seldomProven(), provenHogging(),
		slowHogging(), failedLogins(), shortFlood(),
	}
}

// pressed means that nine of ten threads are held and somebody was turned away
// within the last 40 seconds: one refusal reads 1 and fades to a half in that
// time. It comes first in a condition, since it is nearly always false.
const pressed = `pool.busy >= 0.9 * pool.threads && pool.refused >= 0.5`

// usual is how long the slow connections of this pool take to prove themselves,
// or those of the source itself, as far as it is allowed for: nobody shall buy
// much time by proving himself as late as he can. In a condition it is
// multiplied.
const (
	usual     = `min(max(pool.prove_time, prove_time), 12)`
	usualHere = `min(pool.prove_time, 12)` // of the pool alone
	usualFew  = `min(max(pool.prove_time, prove_time), 5)`
)

// In an attack others still come and get through, or the threads were taken in
// a rush. Where neither is so everything stands still, and those who wait are
// no more to blame than the others. passed is how many seconds later one must
// have come who got through; in a pool of six threads three are a rush.
const (
	passed = `max(1, 2 * ` + usualHere + `)`
	rush   = `pool.rush >= min(4, 0.5 * pool.threads)`
	guilty = `(unproven.overtaken >= ` + passed + ` || ` + rush + `)`
)

// threadHogging acts while the pool is full, within two seconds, on sources
// that sit on many threads without having said anything of use.
//
// The mean age is what tells an attacker from an office: the office's
// unproven connections are few and milliseconds old, because they prove
// themselves or end. An attacker's age with the clock. Ten thread-seconds are
// seven threads for a second and a half, or two for five, as a browser may have
// open in reserve. Three times what it usually takes is more than the threads
// of one sender have on average, whatever slow step there is.
//
// Who has proven as many connections in the last quarter of an hour as it sits
// on now may be an office, and is let be if its proofs came at a fair price:
// below five seconds of unproven threads each, or six times what is usual. A
// holder that asks for a page now and then pays more. With ten proofs for each
// thread it is let be at any price. See sharedHogging.
//
// The last line is for holders who come back once they were sent away: they are
// no rush any more, and nobody gets past them. A single source that sits on a
// twenty-fifth of the pool, and on four threads, is no victim among others.
func threadHogging() Policy {
	return Policy{
		Name: "thread-hogging",
		When: pressed + `
&& unproven.open >= max(2, 0.04 * pool.threads)
&& unproven.mean_age >= max(1.5, 3 * ` + usualFew + `)
&& unproven.open * unproven.mean_age >= 10
&& (unproven.open > 15 * proven15
 || unproven.open > 1.5 * proven15 && 60 * unproven.load15 >= max(5, 6 * ` + usualFew + `) * proven15)
&& (` + guilty + `
 || unproven.open >= max(4, 0.04 * pool.threads))`,
		Averts:   true,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// netHogging acts while the pool is full on nets whose members sit on a tenth
// of it together, the loudest of them left out: one who hops through a net, or
// rents it. It looks at the net's /24 or /48, and its decision names the
// smallest prefix that has nine tenths of the load. Nets in which an address
// has proven something within a day are let be, and as everywhere it is the
// age that tells: five seconds on average, and four times what is usual here.
// Where nothing was ever proven, as in a log that does not tell of it, nobody
// can be told from the others.
func netHogging() Policy {
	return Policy{
		Name:  "net-hogging",
		Level: LevelNet,
		When: pressed + `
&& net.unproven.others >= max(3, 0.1 * pool.threads) && pool.proven15 > 0
&& net.unproven.mean_age >= max(5, 4 * ` + usualHere + `)
&& (net.unproven.overtaken >= ` + passed + ` || ` + rush + `)`,
		Averts:   true,
		Action:   Ban,
		Duration: 5 * time.Minute,
		Escalate: doubling(),
	}
}

// returning acts while the pool is full on one that was banned before, came
// back within an hour of the ban's end and was banned again, and now sits here
// once more. Nothing is left to be found out about it, so half of the patience
// that spreadOut has will do.
func returning() Policy {
	return Policy{
		Name: "returning",
		When: pressed + `
&& unproven.open >= 1 && unproven.mean_age >= max(4, 3 * ` + usual + `)
&& history.returns >= 1 && proven15 < 0.015
&& ` + guilty,
		Averts:   true,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// spreadOut acts while the pool is full on single threads, where half of the
// pool is held by such as have proven nothing: many addresses with one thread
// each fill a pool as well as one does. What tells them from a crowd is that
// the crowd gets through. Six times what is usual is more than next to anybody
// takes who has the same to do as the others; and eight seconds have to pass,
// in which the first ones of a new kind get through, and what is usual is known.
// The last of them is asked for apart: where a clock leaps ahead everybody is
// old at once, and most are through within that second. Where nothing was ever
// proven it does nothing, as netHogging.
//
// It may still be wrong about a single one of so many, so the ban is short. It
// grows for those who come back to do the same.
func spreadOut() Policy {
	return Policy{
		Name: "spread-out",
		When: pressed + `
&& unproven.open >= 1 && pool.unproven >= 0.5 * pool.threads && pool.proven15 > 0
&& unproven.mean_age >= max(7, 6 * ` + usual + `)
&& proven15 < 0.015
&& ` + guilty,
		For:      time.Second,
		Averts:   true,
		Action:   Ban,
		Duration: 2 * time.Minute,
		Escalate: doubling(),
	}
}

// longUnproven acts while the pool is full on a single thread that has been
// held to no use for long, however the rest of the pool does. A server that
// cuts slow connections sees them come back, so it is the thread's time that
// counts: 0.3 in load1 is 21 seconds of the last minute, in one piece or in
// several, for each thread it holds now and for each six connections that it
// opened in that minute: a burst of them is no long one. It is four times what
// is usual at least.
//
// The ban is short, and whoever has proven a connection within about the last
// twenty minutes is let be: a half of 1/15 is what one proof fades to in ten
// minutes, and a quarter in twenty.
func longUnproven() Policy {
	return Policy{
		Name: "long-unproven",
		When: pressed + `
&& unproven.open >= 1 && proven15 < 0.015
&& unproven.load1 >= max(0.3, ` + usual + ` / 15) * max(unproven.open, opens / 6)
&& ` + guilty,
		For:      time.Second,
		Averts:   true,
		Action:   Ban,
		Duration: 5 * time.Minute,
		Escalate: doubling(),
	}
}

// sharedHogging is threadHogging for sources that prove something as well: a
// holder among the users behind one address, on a tenth of the pool. A ban
// would hit all of them, so a person is asked. Those be let be who prove, for
// each thread they sit on, one connection a minute over a quarter of an hour,
// or four in the last one, which matters when a slow step inside the server
// makes everybody sit; but then it is not one source that has half of all
// unproven threads, for longer than spreadOut has patience.
func sharedHogging() Policy {
	return Policy{
		Name: "shared-hogging",
		When: pressed + `
&& unproven.open >= max(4, 0.1 * pool.threads)
&& unproven.mean_age >= max(1.5, 3 * ` + usualFew + `)
&& (unproven.open > max(proven15, proven / 4)
 || unproven.open >= 0.5 * pool.unproven && unproven.mean_age >= max(10, 6 * ` + usual + `))
&& (unproven.overtaken >= ` + passed + ` || unproven.rush >= 4 && proven15 >= 0.015)`,
		Averts:   true,
		Action:   Suggest,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// seldomProven acts while the pool is full, and half of it is held by such as
// have proven nothing, on sources that prove a connection now and then and hold
// threads for the rest of the time, so that the others let them be: for each
// thread that they held over five minutes, less than one connection in five. It
// may be somebody with a bad line, so a person is asked.
func seldomProven() Policy {
	return Policy{
		Name: "seldom-proven",
		When: pressed + `
&& unproven.open >= 1 && pool.unproven >= 0.5 * pool.threads
&& unproven.load5 >= 0.8 && proven15 < 0.2 * unproven.load5
&& ` + guilty,
		Averts:   true,
		Action:   Suggest,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// provenHogging acts while the pool is full on sources that hold much of it by
// connections that have proven themselves, with a valid password or one
// request each. It can be an office with its mailboxes open, so a person is
// asked: about who holds half of the pool in any case, and about who holds a
// tenth of it for a minute or two if its part of the threads is four times its
// part of what is proven at all.
func provenHogging() Policy {
	return Policy{
		Name: "proven-hogging",
		When: pressed + `
&& (load1 - unproven.load1 >= 0.5 * pool.threads
 || load1 - unproven.load1 >= 0.1 * pool.threads && load1 * pool.proven15 > 4 * proven15 * pool.load1)`,
		Averts:   true,
		For:      time.Minute,
		Action:   Suggest,
		Duration: 10 * time.Minute,
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
		Name: "slow-hogging",
		When: `unproven.load5 >= max(2, 0.05 * pool.threads) && unproven.load5 > 15 * proven15
&& (unproven.mean_age < ` + passed + ` || ` + guilty + `)`,
		For:      30 * time.Second,
		Action:   Ban,
		Duration: 10 * time.Minute,
		Escalate: doubling(),
	}
}

// failedLogins acts on guessing of passwords: a dozen failures nearly at once,
// or some fifty spread over a quarter of an hour. A phone that tries each minute
// reads 1 in both. Where most logins succeed it is an office with a few bad phones
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
