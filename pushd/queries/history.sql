-- What became of deliveries, the newest rows first: read along the ledger's primary key, from one row_time
-- back to another, as far as is asked for. (A moment is given, or how many seconds ago it was.)
select
  h.row_id,
  h.row_time,
  h.endpoint,
  h.state,
  h.attempts,
  h.status,
  h.response_ms,
  h.error,
  h.claimed_at,
  h.settled_at,
  h.daemon
from pushd.history as h
where h.row_time >= coalesce(
    %(since)s::timestamptz,
    now() - %(since_ago)s::double precision * interval '1 second',
    '-infinity'
  )
  and h.row_time <= coalesce(
    %(until)s::timestamptz,
    now() - %(until_ago)s::double precision * interval '1 second',
    'infinity'
  )
  and (%(row_id)s::bigint is null or h.row_id = %(row_id)s::bigint)
  and (%(endpoint)s::text is null or h.endpoint = %(endpoint)s::text)
  and (%(states)s::text[] is null or h.state = any(%(states)s::text[]))
order by h.row_time desc, h.row_id desc, h.endpoint
limit %(limit)s::bigint
