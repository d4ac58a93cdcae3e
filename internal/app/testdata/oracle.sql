-- What the threads of a log were held by, from its lines alone. The lines are in
-- raw(n, text), in their order; whoever reads this needs docs/connlog.md and
-- nothing else. A line holds from itself on, so what is open "at" a line is told
-- by the numbers of lines, and how long by their stamps.

-- Each line once, its time in microseconds.
create table parsed as
	select n, text, text ->> 'event' as kind, text ->> 'boot' as boot, text ->> 'seq' as seq, text ->> 'time' as stamp,
		text ->> 'service' as service, text ->> 'conn' as conn, text ->> 'client_ip' as ip,
		coalesce(text ->> 'held_us', 0) as held, coalesce(text ->> 'proven', 0) as proven,
		coalesce(text ->> 'busy', 0) as busy, text ->> 'reason' as reason,
		max(coalesce(text ->> 'count', 1), 1) as count, coalesce(text ->> 'continued', 0) as continued
	from raw where json_valid(text);
create index parsed_seq on parsed (boot, seq, n);
create table e as
select n, kind, boot, service, conn, held, proven, busy, reason, count, continued, text,
	cast(strftime('%s', substr(stamp, 1, 19)) as integer) * 1000000 + cast(substr(stamp, 21, 6) as integer) as t,
	case when ip like '%:%' then substr(ip, 1, instr(ip, '::') - 1) || '::/64' else ip || '/32' end as source,
	case when ip like '%:%' then rtrim(substr(ip, 1, instr(ip, '::') - 1), '0123456789abcdef') || ':/48'
		else rtrim(ip, '0123456789') || '0/24' end as net
from parsed as p
where not exists (select 1 from parsed as q where q.boot = p.boot and q.seq = p.seq and q.n < p.n);
create unique index e_n on e (n);
create index e_conn on e (boot, conn, n);

create table pools as
select s.value ->> 'service' as service, coalesce(s.value ->> 'pool', s.value ->> 'service') as pool, max(s.value ->> 'threads') as threads
from e, json_each(e.text, '$.services') as s where e.kind = 'start' group by 1, 2;

-- The head of a file, and the first line behind it.
create table heads as
select n, boot, (select min(x.n) from e as x where x.n > h.n and not (x.kind = 'open' and x.held > 0 and x.boot = h.boot)) as behind
from e as h where kind = 'start' and continued and exists (select 1 from e as x where x.boot = h.boot and x.n < h.n);

-- The first line of the next boot, and the last one of this.
create table boots as
select boot, min(n) as first, max(n) as last, (select min(x.n) from e as x where x.n > max(e.n)) as next from e group by boot;

-- A connection takes its thread at an open line that is the first to name it.
create table begins as
select * from e as o where kind = 'open' and not exists (
	select 1 from e as x where x.kind = 'open' and x.boot = o.boot and x.conn = o.conn and x.n < o.n);

-- It gives it back at its close line, at a head that does not name it, or with
-- its boot; else it is open at the end.
create table held as
with ends as (
	select b.*,
		(select min(c.n) from e as c where c.kind = 'close' and c.boot = b.boot and c.conn = b.conn and c.n > b.n) as closed,
		(select min(h.behind) from heads as h where h.boot = b.boot and h.n > b.n and not exists (
			select 1 from e as x where x.boot = b.boot and x.conn = b.conn and x.n > h.n and x.n < h.behind)) as omitted,
		(select next from boots where boots.boot = b.boot) as crashed
	from begins as b
), ended as (
	select *, nullif(min(coalesce(closed, 1e18), coalesce(omitted, 1e18), coalesce(crashed, 1e18)), 1e18) as until from ends
), timed as (
	select *, t - held as since, case
		when until is null then (select t from e order by n desc limit 1)
		when until = crashed and until is not closed and until is not omitted then (select x.t from boots, e as x where boots.boot = ended.boot and x.n = boots.last)
		else (select t from e as x where x.n = ended.until) end as to_t
	from ended
)
select n, until, boot, conn, service, pool, source, net, since, to_t, case
	when timed.proven then 0
	else coalesce(
		(select min(p.t) - since from e as p where p.kind = 'proven' and p.boot = timed.boot and p.conn = timed.conn and p.n > timed.n),
		(select 0 from e as p where p.boot = timed.boot and p.conn = timed.conn and p.proven and p.n > timed.n),
		to_t - since) end as unproven
from timed join pools using (service);
create index held_source on held (source, n);

-- Ends of connections that nobody saw begin.
create table late as
select c.*, c.t - c.held as since from e as c
where kind = 'close' and not exists (select 1 from held as h where h.boot = c.boot and h.conn = c.conn and h.n < c.n);

-- How many are held after each change, at each level; ends come first.
create table changes as
with c(n, d, t, source, net, service, pool) as (
	select n, 1, (select t from e where e.n = held.n), source, net, service, pool from held
	union all select until, -1, to_t, source, net, service, pool from held where until is not null
)
select * from c;

create table peaks as
with scopes(scope, name, n, d) as (
	select 'address', source, n, d from changes union all select 'net', net, n, d from changes
	union all select 'service', service, n, d from changes union all select 'all', '', n, d from changes
), sums as (
	select scope, name, n, sum(d) over (partition by scope, name order by n, d rows unbounded preceding) as open from scopes
)
select scope, name, open as peak, n
from (select *, row_number() over (partition by scope, name order by open desc, n) as place from sums) where place = 1;

-- What is held of a pool at a line that turns somebody away for want of a thread.
create table refusals as
select r.n, r.t, p.pool, r.count, max(r.busy, (select count(*) from held as h where h.pool = p.pool and h.n < r.n and (h.until is null or h.until > r.n))) as busy
from e as r join pools as p using (service) where r.kind = 'refuse' and r.reason = 'busy';

create table blame as
select h.n, h.source, h.net, sum(1.0 * r.count / r.busy) as blame
from held as h join refusals as r on r.pool = h.pool and h.n < r.n and (h.until is null or h.until > r.n) group by h.n;

-- The largest average over a minute: it can only be where a connection begins or ends.
create table loads as
with scopes(scope, name, since, to_t, n, until) as (
	select 'address', source, since, to_t, n, until from held union all select 'net', net, since, to_t, n, until from held
), moments as (
	select scope, name, n as at, (select t from e where e.n = scopes.n) as t from scopes
	union select scope, name, coalesce(until - 0.5, 1e18), to_t from scopes
)
select m.scope, m.name, m.at, sum(exp(-(m.t - case when h.until is null or h.until > m.at then m.t else min(h.to_t, m.t) end) / 6e7) - exp(-(m.t - h.since) / 6e7)) as load
from moments as m join scopes as h on h.scope = m.scope and h.name = m.name and h.n <= m.at group by m.scope, m.name, m.at;

create table facts as
with f(source, net, connections, orphans, late, held, unproven, open_at_end, refused, fails, blame, first, last) as (
	select source, net, 1, 0, 0, to_t - since, unproven, until is null, 0, 0, 0, since, to_t from held
	union all select source, net, held > 0, held = 0, held > 0, held, case when proven then 0 else held end, 0, 0, 0, 0,
		case when held > 0 then since end, case when held > 0 then t end from late
	union all select source, net, 0, 0, 0, 0, 0, 0, count, 0, 0, t, t from e where kind = 'refuse'
	union all select source, net, 0, 0, 0, 0, 0, 0, 0, 1, 0, t, t from e where kind = 'fail'
	union all select source, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, t, t from e where kind = 'proven' and coalesce(conn, 0) = 0
	union all select source, net, 0, 0, 0, 0, 0, 0, 0, 0, blame, null, null from blame
)
select 'address' as scope, source as name, source as member, * from f
union all select 'net', net, source, * from f;

-- The answer for each address and each net. What only an orphan names is none.
create table sources as
select f.scope, f.name, sum(connections) as connections, sum(late) as late, sum(held) as held, sum(unproven) as unproven,
	sum(open_at_end) as open_at_end, sum(refused) as refused, sum(fails) as fails, sum(blame) as blame,
	min(first) as first, max(last) as last, count(distinct case when first is not null then member end) as members,
	coalesce((select peak from peaks where peaks.scope = f.scope and peaks.name = f.name), 0) as peak,
	coalesce((select max(load) from loads where loads.scope = f.scope and loads.name = f.name), 0) as load
from facts as f group by f.scope, f.name having first is not null;

create table services as
select p.service, p.threads,
	(select count(*) from held as h where h.service = p.service) + (select count(*) from late as l where l.service = p.service and l.held > 0) as connections,
	(select count(*) from late as l where l.service = p.service and l.held = 0) as orphans,
	(select count(*) from late as l where l.service = p.service and l.held > 0) as late,
	(select count(*) from held as h where h.service = p.service and h.until is null) as open_at_end,
	coalesce((select sum(to_t - since) from held as h where h.service = p.service), 0) + coalesce((select sum(held) from late as l where l.service = p.service), 0) as held,
	coalesce((select peak from peaks where scope = 'service' and name = p.service), 0) as peak,
	coalesce((select t from peaks join e using (n) where scope = 'service' and name = p.service), 0) as peak_at,
	(select count(*) from e where kind = 'fail' and e.service = p.service) as fails,
	coalesce((select sum(count) from e where kind = 'refuse' and reason = 'busy' and e.service = p.service), 0) as busy,
	coalesce((select sum(count) from e where kind = 'refuse' and reason = 'sessions' and e.service = p.service), 0) as sessions,
	coalesce((select sum(count) from e where kind = 'refuse' and reason = 'banned' and e.service = p.service), 0) as banned
from pools as p;

-- When a pool was full: clients were turned away, or all threads were held.
-- Moments with no more than a minute between them are one stretch.
create table stretches as
with counted as (
	select pool, n, t, sum(d) over (partition by pool order by n, d rows unbounded preceding) as open, row_number() over (partition by pool order by n, d) as i from changes
), full(pool, from_t, to_t, refused) as (
	select c.pool, c.t, coalesce((select x.t from counted as x where x.pool = c.pool and x.i = c.i + 1), (select t from e order by n desc limit 1)), 0
	from counted as c where open >= (select max(threads) from pools as p where p.pool = c.pool)
	union all select pool, t, t, count from refusals
), marked as (
	select *, case when from_t - max(to_t) over (partition by pool order by from_t, to_t rows between unbounded preceding and 1 preceding) <= 60000000 then 0 else 1 end as fresh from full
), numbered as (
	select *, sum(fresh) over (partition by pool order by from_t, to_t rows unbounded preceding) as stretch from marked
)
select pool, min(from_t) as from_t, max(to_t) as to_t, sum(refused) as refused from numbered group by pool, stretch;

create table whole as
select (select min(t) from e) as first, (select max(t) from e) as last, (select sum(connections) from services) as connections,
	(select sum(orphans) from services) as orphans, (select sum(late) from services) as late, (select sum(open_at_end) from services) as open_at_end,
	(select sum(held) from services) as held, (select peak from peaks where scope = 'all') as peak,
	(select t from peaks join e using (n) where scope = 'all') as peak_at,
	(select count(*) from sources where scope = 'address') as sources, (select count(*) from sources where scope = 'net') as nets;
