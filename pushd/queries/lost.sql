-- Of the claims that we hold, those that are not ours any more: others took them over while we were silent.
select
  held.time_us,
  held.row_id,
  held.endpoint_id
from unnest(
  %(times_us)s::bigint[],
  %(row_ids)s::bigint[],
  %(endpoint_ids)s::smallint[]
) as held (time_us, row_id, endpoint_id)
where not exists (
  select
  from pushd.delivery as d
  where d.row_time = to_timestamp(0) + held.time_us * interval '1 microsecond'
    and d.row_id = held.row_id
    and d.endpoint_id = held.endpoint_id
    and d.daemon_id = %(daemon_id)s
    and d.state = 0
)
