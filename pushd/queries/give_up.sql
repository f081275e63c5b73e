-- Claims that nobody works on are given up: either (own) those in our name that this process does not
-- hold, from a life that ended without saying so or because an answer was lost with its connection; or
-- else all of those daemons whose lease has run out. What is still fresh is free again, and the next
-- sweep finds it; what is not has expired.
-- Ten minutes cover attempts and outcomes that were under way when the daemon was last heard of, and
-- `silent` how long ago we could last have looked for our own.
-- (The row of a dead daemon is locked: one taker at a time, and its own heartbeat waits for the end.)
with owner as (
  select
    d.id,
    case
      when %(own)s then least(d.heartbeat_at, now() - %(silent)s * interval '1 second')
      else d.heartbeat_at
    end - d.data_expiry - interval '10 minutes' as horizon
  from pushd.daemon as d
  where case
      when %(own)s then d.id = %(daemon_id)s
      else d.id <> %(daemon_id)s and d.lease_until < now()
    end
  order by d.id
  for update
),
orphan as (
  select
    d.row_time,
    d.row_id,
    d.endpoint_id,
    d.row_time <= now() - %(data_expiry)s * interval '1 second' as expired
  from owner
  join pushd.delivery as d
    on d.row_time > owner.horizon
    and d.daemon_id = owner.id
    and d.state = 0
  where not exists (
    select
    from unnest(
      %(times_us)s::bigint[],
      %(row_ids)s::bigint[],
      %(endpoint_ids)s::smallint[]
    ) as held (time_us, row_id, endpoint_id)
    where d.row_time = to_timestamp(0) + held.time_us * interval '1 microsecond'
      and d.row_id = held.row_id
      and d.endpoint_id = held.endpoint_id
  )
),
settled as (
  update pushd.delivery as d
  set
    state = 3,
    settled_at = clock_timestamp(),
    error = 'the daemon that had claimed it ended before it was pushed'
  from orphan as o
  where o.expired
    and d.row_time = o.row_time
    and d.row_id = o.row_id
    and d.endpoint_id = o.endpoint_id
  returning 1
),
released as (
  delete from pushd.delivery as d
  using orphan as o
  where not o.expired
    and d.row_time = o.row_time
    and d.row_id = o.row_id
    and d.endpoint_id = o.endpoint_id
  returning 1
),
ended as (
  update pushd.daemon as d
  set lease_until = null
  from owner
  where d.id = owner.id
    and %(ends)s
)
select
  (select count(*) from owner) as owners,
  (select count(*) from settled) as expired,
  (select count(*) from released) as released
