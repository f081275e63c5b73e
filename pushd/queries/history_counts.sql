-- How many deliveries there are of each endpoint and state, as history.sql finds them.
select
  h.endpoint,
  h.state,
  count(*) as deliveries,
  min(h.row_time) as oldest,
  max(h.row_time) as newest
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
group by h.endpoint, h.state
order by h.endpoint, h.state
