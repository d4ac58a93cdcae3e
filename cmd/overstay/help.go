package main

// The long texts of the commands. Each says which exit codes it has beyond
// 0 done, 1 failed, 2 wrong usage or configuration.

const rootHelp = `overstay runs a server with bounded threads, writes down every connection,
ranks source addresses by the threads they hold, and bans those that hold them
against others. A ban ends the sessions of its source: their threads are free.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 found something
(check: the address is banned; why, analyze: the cause is an attack).`

const serveHelp = `Runs the services of the configuration, the connection log, the detector and the
banned-host list in one process. Without a configuration file it serves smtp,
pop3, imap, www and https on unprivileged ports of the loopback address, and
keeps everything in ./overstay-data.

Ends in order at SIGTERM or Ctrl-C: open sessions have ten seconds to finish. A
second signal ends it at once. SIGHUP reads the configuration again; what waits
for a restart is said, and where anything in it is wrong the old one stays.`

const detectHelp = `Follows a connection log that a server writes, and puts suggestions and bans on
the shared list that the server asks. Beside overstay serve --no-detector it
needs no arguments. What the log already holds is read first, so a detector that
was down has missed nothing.`

const banHelp = `Bans addresses and prefixes. Sessions that are open are ended at once, in every
process that serves with this list. Without --for a ban lasts until unban. An
address on the allow list cannot be banned.

An IPv6 address means its /64, which is one host's; ADDRESS/128 means it alone.`

const unbanHelp = `Ends bans before their time, by address, prefix or id. An address that is banned
as part of a net cannot be lifted alone: allow it. An IPv6 address that is not
banned itself means its /64.`

const allowHelp = `Puts addresses and prefixes on the allow list, which wins over every ban. Bans
inside an allowed prefix are lifted at once, suggestions rejected. Without
arguments, prints the allow list.`

const checkHelp = `Says whether an address is banned now, by which entry, and until when.

Exit codes: 0 not banned, 3 banned.`

const reviewHelp = `Suggestions are bans that wait for a person: the detector makes them where a
policy says suggest, where serve or detect run with --suggest, and where too
many bans fall into one minute.`

const topHelp = `Ranks the sources in a connection log by the threads they hold, and redraws the
ranking as the log grows. Into a pipe, or with --once, prints one table.

  CONNS     threads held now            OLDEST   age of the oldest of them
  LOAD1..15 threads held, averaged      SHARE    of the pool's threads
            over 1, 5, 15 minutes       REFUSED  refusals a minute
  UNPROVEN  of CONNS, those that have   FAILS    failures a minute
            done nothing yet that a     BLAME    refusals of others a minute
            real client does                     that its threads cause`

const configCheckHelp = `Reads a configuration file and says what is wrong with it: where, and what.

Exit codes: 0 it can be used, 2 it cannot.`

const importHelp = `Reads bans from a file, or from standard input with -.

Text has one entry a line, its reason after a #. An entry is an address or a
prefix, or one of the forms that old mail servers use: 192.0.2.*, 192.0.2.1-9.
A leading ! makes an exception, which goes onto the allow list. JSON is what
overstay export --json writes. If a line cannot be understood nothing is taken,
unless --skip is given.`

const exportHelp = `Writes the bans in force and the allow list as text, one entry a line with its
reason, or as JSON with --json: the whole list with its evidence.`

const demoHelp = `Starts a server on loopback with 100 threads, lets ordinary clients and an office
behind one address use it, and then an attack that holds its threads, once
without a policy and once with the default ones. Nothing leaves this machine,
and nothing stays on it.`

const userHelp = `The users who have mail here, for smtp, pop3 and imap alike. They stand in one
file, a name and a bcrypt hash a line, which htpasswd -B can write as well. A
server that runs notices each change by itself.`

const userAddHelp = `Adds a user, and begins the user file if there is none. A name has a-z, 0-9 and,
inside, the dot, the underscore and the hyphen.

The password is asked for twice, or is the one line of standard input where that
is no terminal. It has 1 to 72 bytes.`

const userPasswdHelp = `Gives a user another password, which is asked for twice, or is the one line of
standard input where that is no terminal. It has 1 to 72 bytes. Sessions that
are open go on.`

const userDelHelp = `Takes a user out of the user file. Nobody can log in by that name any more, and
mail for it is refused. Sessions that are open go on. The mail that is there
stays, and the command says where.`

const whyHelp = `Without an address: says why clients were told that the server is too busy, and
what would have helped. It looks at the last stretch of refusals in the log, or
at the time that --from and --to name, sends the arrivals of that time through
the pool again, and counts what is refused without the suspects, without the
wait for the virus scanner, and with more threads. The verdict is the change
that averts most: attack, scanner or undersized; mixed where none averts half.
Suspects are those whom the policies in force find in that log, or the built-in
ones where none is in force. Who is on the allow list is no suspect.

With an address or a prefix: says what list and log know of it, by which policy
it was found, with what evidence, and what a ban of it would have changed.

LOG are finished files of any format that overstay formats lists, plain or
compressed, in any order, or - for standard input. Without any, it is the
configured log, read back by read_back or --last.
A file whose name is an address is named as ./ADDRESS.

Times are local or RFC 3339. 15:04 is the last such time in the log; 2h is two
hours before its end.

Exit codes: 0 no attack, 3 an attack is a cause (without an address only).`

const analyzeHelp = `Says of finished logs, of overstay or of another server, who held the threads,
when all were held, why clients were turned away and what would help. A log is
ranked by what it can tell: overstay formats lists that, and what is not known
is left out, or null in JSON, never 0.

Where clients were turned away, or with --policy, it also says what policies
would have done: when, to whom and on what grounds, and how many refusals that
would have averted, a suggestion being counted as if it were approved at once.
The same code decides as in serve and detect, so on a log of theirs it finds
what they found. The allow list, the list's history and the addresses of this
machine are not asked, but by --suggest, which puts what is found on the list,
where it waits for overstay review.

LOG are finished files or patterns, plain, gzip, zstd, bzip2 or xz, in any
order, or - for standard input. Of the file that --policy names, only [[policy]]
and [detector] count. Lines that are none of the format are counted and skipped;
a file that cannot be read is said, and the exit code is 1 although the others
are told of.

A connection that is open at the end counts up to there. An end that says how
long it took began that long before; any other end without a beginning is
counted and left out. Where stamps are coarse a peak is a range.

Exit codes: 0 no attack, 3 an attack is a cause.`

const convertHelp = `Writes finished logs of another server to standard output as overstay's own
connection log, in the order of time, so that why, top, analyze and policies
work on them. Each line says from which line it comes ("line"), and of several
files from which ("file"). What did not become a line is counted on standard
error.`

const formatsHelp = `Lists the logs that can be read, each by the name that --format knows, with what
it can tell: opens (that a connection began), durations (how long it held its
thread), outcomes (logins, messages, requests and failures), refusals (whom the
server turned away), and how fine its stamps are. Which one a file has is seen
by its content, unless --format says.`

const policyDiffHelp = `Applies the policies of two configuration files to the same finished logs, and
says which decisions only one of them makes, which both make at another time,
for another length or with another action, and how many refusals each averts.
Of the files, only [[policy]] and [detector] count.

Exit codes: 0 compared, whether there is a difference or not (--json: equal).`
