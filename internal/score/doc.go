// Package score says how good a detector is: it plays scenarios whose truth is
// known and compares what the detector makes of them.
//
// The model: a scenario is played twice for each seed. In the first play the
// detector only watches, and the server goes on undefended; that shows whom it
// finds, what it takes for the cause, and what it foretells of its bans. In the
// second the server obeys it; that shows how soon it acts and what is left of
// the harm. A first call:
//
//	row, err := score.Play(&scenario, score.Options{Policies: detector.DefaultPolicies()}, 1, 2, 3)
//	score.Write(os.Stdout, []score.Row{row})
//
// # What is owed
//
// An attacker is owed a decision if it costs innocents at least one refusal:
// if the parts of all refusals that the threads it held at the time were of
// the pool add up to one. That sum is made here, by the truth and not by the
// detector.
//
// # What is wrong
//
// A ban of an innocent harms, and so does one of an address that an attacker
// shares with innocents, or of a net that has an innocent in it who plays. A
// suggestion is right where an attacker is behind it, for a person will weigh
// it, and wrong where only innocents are; it harms nobody.
//
// Absent on purpose: opinions about what is good enough, which are the tests',
// and the allow list, the network and the disk. The same seeds give the same
// table, to the byte.
package score
