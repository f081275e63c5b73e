-- Who receives: names not seen before are registered, and all are answered with their ids.
-- The endpoints of the very first start are owed every row that is still fresh; one that
-- comes later is owed what comes from then on.
-- (Not "on conflict": that would draw a number from the smallint sequence at every start.)
with registered as (
  insert into pushd.endpoint (name, since)
  select
    wanted.name,
    case when exists (select from pushd.endpoint) then now() else '-infinity' end
  from unnest(%(names)s::text[]) as wanted (name)
  where not exists (
    select
    from pushd.endpoint as known
    where known.name = wanted.name
  )
  returning name, id
)
select name, id
from registered
union all
select name, id
from pushd.endpoint
where name = any(%(names)s::text[])
