-- Gives up claims, as if they had never been made: the next sweep finds the rows.
delete from pushd.delivery as d
using unnest(
  %(times_us)s::bigint[],
  %(row_ids)s::bigint[],
  %(endpoint_ids)s::smallint[]
) as s (time_us, row_id, endpoint_id)
where d.row_time = to_timestamp(0) + s.time_us * interval '1 microsecond'
  and d.row_id = s.row_id
  and d.endpoint_id = s.endpoint_id
  and d.daemon_id = %(daemon_id)s
  and d.state = 0
