-- Who claims rows now.
select id
from pushd.daemon
where lease_until > now()
  and claims
