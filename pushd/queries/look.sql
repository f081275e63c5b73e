-- Rows that have become visible: above an id, as far as it reaches, and in the gaps below it.
(
  select r.id::bigint as id
  from {table} as r
  where r.id > %(above)s
    and r.id <= %(reach)s
  order by r.id
  limit %(size)s
)
union all
select r.id::bigint
from {table} as r
where r.id = any(%(gaps)s::bigint[])
