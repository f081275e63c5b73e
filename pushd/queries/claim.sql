-- Claim and load: takes the rows with these ids for these endpoints, all that nobody has taken,
-- and answers each row once for each endpoint that it is now ours for, oldest first.
-- A row that is stale already gets its outcome in the same stroke.
-- (Inserted in the order of the key, so that two daemons cannot deadlock. And "is true" hides what is
-- plausible from the planner: an index on create_time must not tempt it to scan all of that.)
with candidate as materialized (
  select
    r.id::bigint as id,
    {row_time} as row_time,
    {row_time} <= now() - %(data_expiry)s * interval '1 second' as expired,
    {columns}
  from {table} as r
  where r.id = any(%(ids)s::bigint[])
    and r.wallet_code::text <> ''
    and ({plausible}) is true
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
  join pushd.endpoint as e on e.since <= c.row_time
  where e.id = any(%(endpoint_ids)s::smallint[])
  order by c.row_time, c.id, e.id
  on conflict do nothing
  returning row_time, row_id, endpoint_id
)
select
  d.endpoint_id,
  c.expired,
  extract(epoch from clock_timestamp() - c.row_time)::double precision as age,
  c.id,
  (extract(epoch from c.row_time) * 1000000)::bigint as time_us,
  {names}
from claimed as d
join candidate as c on c.row_time = d.row_time and c.id = d.row_id
order by c.row_time, c.id
