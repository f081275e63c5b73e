-- The daemons there are and have been, whether each is alive, and for how many seconds it has been silent.
select
  d.name,
  coalesce(d.lease_until > now(), false) as alive,
  extract(epoch from now() - d.heartbeat_at)::double precision as silent
from pushd.daemon as d
order by d.name
