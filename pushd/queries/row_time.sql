-- The time under which the ledger knows a row of the watched table; no row where there is none, or no time.
select {row_time}
from {table} as r
where r.id = %(id)s::bigint
  and ({plausible}) is true
