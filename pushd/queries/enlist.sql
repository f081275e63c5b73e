-- This daemon's id: that of its name, or a new one.
with enlisted as (
  insert into pushd.daemon (name, data_expiry)
  select
    %(name)s,
    %(data_expiry)s * interval '1 second'
  where not exists (
    select
    from pushd.daemon
    where name = %(name)s
  )
  returning id
)
select id
from enlisted
union all
select id
from pushd.daemon
where name = %(name)s
