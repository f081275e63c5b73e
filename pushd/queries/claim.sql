-- Claim and load: takes the rows with these ids for these endpoints, all that nobody has taken,
-- and answers each row once with the endpoints that it is now ours for, oldest first.
-- A row that is stale already gets its outcome in the same stroke.
-- (Inserted in the order of the key, so that two daemons cannot deadlock.)
with found as materialized (
  -- By id alone: an index on create_time must not tempt anybody to scan all of it for what is plausible.
  select
    r.id::bigint as id,
    r.create_time,
    {columns}
  from {table} as r
  where r.id = any(%(ids)s::bigint[])
    and r.wallet_code <> ''
),
candidate as materialized (
  select
    r.*,
    {row_time} as row_time,
    {row_time} <= now() - %(data_expiry)s * interval '1 second' as expired
  from found as r
  where {plausible}
),
receiver as materialized (
  select
    e.id,
    e.since
  from pushd.endpoint as e
  where e.id = any(%(endpoint_ids)s::smallint[])
),
claimed as (
  insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id, state, settled_at)
  select
    c.row_time,
    c.id,
    e.id,
    %(daemon_id)s,
    case when c.expired then 3 else 0 end,
    case when c.expired then clock_timestamp() end
  from candidate as c
  join receiver as e on e.since <= c.row_time
  order by c.row_time, c.id, e.id
  on conflict do nothing
  returning row_time, row_id, endpoint_id
),
ours as (
  select row_time, row_id, array_agg(endpoint_id) as endpoint_ids
  from claimed
  group by row_time, row_id
)
select
  o.endpoint_ids,
  c.expired,
  extract(epoch from clock_timestamp() - c.row_time)::double precision as age,
  c.id,
  (extract(epoch from c.row_time) * 1000000)::bigint as time_us,
  {names}
from ours as o
join candidate as c on c.row_time = o.row_time and c.id = o.row_id
order by c.row_time, c.id
