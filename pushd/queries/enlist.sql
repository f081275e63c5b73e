-- This daemon's name in the registry, entered at first sight.
insert into pushd.daemon (name, data_expiry)
select
  %(name)s,
  %(data_expiry)s * interval '1 second'
where not exists (
  select
  from pushd.daemon
  where name = %(name)s
)
on conflict do nothing
