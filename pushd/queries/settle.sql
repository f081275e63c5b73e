-- Outcomes of deliveries that are still ours, many in one stroke. A claim that is gone, since a crash of
-- the server forgot it or another daemon gave it up, is made anew with its outcome: it is not made twice.
-- (In the order of the key, so that two daemons cannot deadlock.)
insert into pushd.delivery as d (
  row_time,
  row_id,
  endpoint_id,
  daemon_id,
  state,
  settled_at,
  attempts,
  status,
  response_ms,
  error
)
select
  to_timestamp(0) + s.time_us * interval '1 microsecond' as row_time,
  s.row_id,
  s.endpoint_id,
  %(daemon_id)s,
  s.state,
  clock_timestamp(),
  s.attempts,
  s.status,
  s.response_ms,
  s.error
from unnest(
  %(times_us)s::bigint[],
  %(row_ids)s::bigint[],
  %(endpoint_ids)s::smallint[],
  %(states)s::smallint[],
  %(attempts)s::smallint[],
  %(statuses)s::smallint[],
  %(response_ms)s::integer[],
  %(errors)s::text[]
) as s (time_us, row_id, endpoint_id, state, attempts, status, response_ms, error)
order by row_time, s.row_id, s.endpoint_id
on conflict (row_time, row_id, endpoint_id) do update
set
  state = excluded.state,
  settled_at = excluded.settled_at,
  attempts = excluded.attempts,
  status = excluded.status,
  response_ms = excluded.response_ms,
  error = excluded.error
where d.daemon_id = excluded.daemon_id
  and d.state = 0
