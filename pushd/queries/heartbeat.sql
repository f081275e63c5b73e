-- Still alive. Answers whether the lease had lapsed, so that others may have taken claims over, and
-- in how many seconds the next lease of another one lapses; no row when the name is another process's.
with known as (
  select
    d.id,
    coalesce(d.lease_until < now(), true) as lapsed
  from pushd.daemon as d
  where d.id = %(daemon_id)s
    and d.instance = %(instance)s
  for update
),
beat as (
  update pushd.daemon as d
  set
    backend_pid = pg_backend_pid(),
    data_expiry = %(data_expiry)s * interval '1 second',
    claims = %(claims)s,
    heartbeat_at = now(),
    lease_until = now() + %(lease)s * interval '1 second'
  from known
  where d.id = known.id
)
select
  known.lapsed,
  (
    select extract(epoch from min(other.lease_until) - now())::double precision
    from pushd.daemon as other
    where other.id <> %(daemon_id)s
  ) as next_lapse
from known
