-- Claims in our name of which this process knows nothing: those of a life that ended without
-- saying so, or whose answer was lost with the connection. What is still fresh is given up, so
-- that the next sweep finds it; what is not has expired. The ten minutes cover attempts and
-- outcomes that were under way when the daemon was last heard of.
with orphan as (
  select
    d.row_time,
    d.row_id,
    d.endpoint_id,
    d.row_time <= now() - %(data_expiry)s * interval '1 second' as expired
  from pushd.delivery as d
  where d.row_time > (
      select self.heartbeat_at - self.data_expiry - interval '10 minutes'
      from pushd.daemon as self
      where self.id = %(daemon_id)s
    )
    and d.daemon_id = %(daemon_id)s
    and d.state = 0
    and not exists (
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
)
select
  (select count(*) from settled) as expired,
  (select count(*) from released) as released
