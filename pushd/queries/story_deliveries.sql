-- What the ledger holds of a row: a line for each endpoint of these names, and for each other that it went to.
-- By the primary key when the row's time is known, and else all that there is of its id.
with held as materialized (
  select d.*
  from pushd.delivery as d
  where d.row_id = %(id)s::bigint
    and d.row_time = to_timestamp(0) + %(time_us)s::bigint * interval '1 microsecond'
  union all
  select d.*
  from pushd.delivery as d
  where d.row_id = %(id)s::bigint
    and %(time_us)s::bigint is null
),
receiver as (
  select
    coalesce(e.name, wanted.name) as name,
    wanted.position,
    e.id,
    e.since
  from unnest(%(names)s::text[]) with ordinality as wanted (name, position)
  full join pushd.endpoint as e on e.name = wanted.name
)
select
  c.name,
  c.id,
  nullif(c.since, '-infinity') as since,
  c.since <= to_timestamp(0) + %(time_us)s::bigint * interval '1 microsecond' as owed,
  case h.state
    when 0 then 'claimed'
    when 1 then 'delivered'
    when 2 then 'failed'
    when 3 then 'expired'
    when 4 then 'filtered'
  end as state,
  case when h.state > 0 then h.attempts end as attempts,
  h.status,
  h.response_ms,
  h.error,
  h.claimed_at,
  h.settled_at,
  s.name as daemon,
  coalesce(s.lease_until > now(), false) as daemon_alive
from receiver as c
left join held as h on h.endpoint_id = c.id
left join pushd.daemon as s on s.id = h.daemon_id
where c.position is not null
  or h.row_id is not null
order by c.position, c.id, h.row_time
