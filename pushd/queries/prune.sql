-- Deletes the oldest deliveries beyond retention, a batch of them from a time on, and never one that
-- any daemon could still claim, settle or look for. Answers how many, and the time to go on from: the
-- next batch need not step over what is deleted but not yet vacuumed.
with old as (
  select
    d.row_time,
    d.row_id,
    d.endpoint_id
  from pushd.delivery as d
  where d.row_time >= %(after)s::timestamptz
    and d.row_time < now() - greatest(
      %(retention)s * interval '1 second',
      (select max(each.data_expiry) from pushd.daemon as each) + %(least)s * interval '1 second'
    )
    and d.claimed_at < now() - %(retention)s * interval '1 second'
  order by d.row_time, d.row_id, d.endpoint_id
  limit %(size)s
  for update skip locked
),
deleted as (
  delete from pushd.delivery as d
  using old
  where d.row_time = old.row_time
    and d.row_id = old.row_id
    and d.endpoint_id = old.endpoint_id
  returning d.row_time
)
select
  count(*),
  max(row_time)::text
from deleted
