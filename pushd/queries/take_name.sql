-- The name becomes this process's, unless another one that has it seems to live: its lease runs,
-- and so does the session of its heartbeat. (Of a process that was killed, the session ends at once.)
-- heartbeat_at stays as it is: from there on the claims of the last life are looked for.
with known as (
  select
    d.id,
    d.heartbeat_at,
    d.lease_until > now()
    and exists (
      select
      from pg_stat_activity as a
      where a.pid = d.backend_pid
    ) as taken
  from pushd.daemon as d
  where d.name = %(name)s
  for update
),
ours as (
  update pushd.daemon as d
  set
    instance = %(instance)s,
    backend_pid = null,
    claims = true,
    started_at = now(),
    lease_until = now() + %(lease)s * interval '1 second'
  from known
  where d.id = known.id
    and not known.taken
)
select
  known.id,
  known.taken,
  known.heartbeat_at::text,
  (
    select extract(epoch from now() - max(d.heartbeat_at))::double precision
    from pushd.daemon as d
    where d.instance is not null
  ) as silent
from known
