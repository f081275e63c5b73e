-- A page of a window, of what is fresh or of what has just ceased to be: rows that one of these
-- endpoints is owed and nobody has taken for it, oldest first, after a position. Rows are only named
-- here; the claim loads them. Overdue are those that the daemon preferred for them has left lying.
select
  r.create_time::text as position,
  r.id::bigint as id,
  {row_time} < now() - interval '2 seconds' as overdue
from {table} as r
where {window}
  and {plausible}
  and r.wallet_code::text <> ''
  and (r.create_time, r.id) > (%(after_time)s, %(after_id)s)
  and exists (
    select
    from pushd.endpoint as e
    where e.id = any(%(endpoint_ids)s::smallint[])
      and e.since <= {row_time}
      and not exists (
        select
        from pushd.delivery as d
        where d.row_time = {row_time}
          and d.row_id = r.id
          and d.endpoint_id = e.id
      )
  )
order by r.create_time, r.id
limit %(size)s
