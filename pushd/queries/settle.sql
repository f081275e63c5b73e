-- Outcomes of deliveries that are still ours, many in one stroke.
update pushd.delivery as d
set
  state = s.state,
  settled_at = clock_timestamp(),
  attempts = s.attempts,
  status = s.status,
  response_ms = s.response_ms,
  error = s.error
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
where d.row_time = to_timestamp(0) + s.time_us * interval '1 microsecond'
  and d.row_id = s.row_id
  and d.endpoint_id = s.endpoint_id
  and d.daemon_id = %(daemon_id)s
  and d.state = 0
