-- One row of the watched table as it is now: whether it has a wallet code, its time as it is written, its age
-- by this clock where that can be told, and what an envelope is made of.
select
  (r.wallet_code::text <> '') is true as coded,
  r.create_time::text as written,
  case
    when ({plausible}) is true then extract(epoch from clock_timestamp() - {row_time})::double precision
  end as age,
  r.id::bigint as id,
  case
    when ({plausible}) is true then (extract(epoch from {row_time}) * 1000000)::bigint
  end as time_us,
  {columns}
from {table} as r
where r.id = %(id)s::bigint
limit 1
