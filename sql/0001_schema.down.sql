-- 0001 schema, taken back: drops the schema pushd and, where nothing else needs them, its roles
--
-- locks:       ACCESS EXCLUSIVE on pushd.migration; none on any table of the application
-- reversible:  yes, by 0001_schema.up.sql
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0001_schema.down.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if to_regclass('pushd.endpoint') is not null then
    raise exception 'pushd: take back 0002_ledger first';
  end if;
end
$$;

drop table if exists pushd.migration;
drop schema if exists pushd;

-- pushd.watch has let the daemon into the schemas of the application.
do $$
declare
  schema regnamespace;
begin
  for schema in
    select distinct n.oid
    from pg_namespace as n
    cross join aclexplode(n.nspacl) as entry
    where entry.grantee = to_regrole('pushd_daemon')
  loop
    execute format('revoke all on schema %s from pushd_daemon', schema);
  end loop;
end
$$;

-- A role stays while another database of this cluster grants it something, or
-- when somebody else made it.
do $$
begin
  drop role if exists pushd_daemon;
exception when dependent_objects_still_exist or insufficient_privilege then
  raise warning 'pushd: role pushd_daemon is kept: %', sqlerrm;
end
$$;

do $$
begin
  drop role if exists pushd_reader;
exception when dependent_objects_still_exist or insufficient_privilege then
  raise warning 'pushd: role pushd_reader is kept: %', sqlerrm;
end
$$;
