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

-- The roles stay while another database of this cluster still grants them something.
do $$
begin
  if exists (select from pg_roles where rolname = 'pushd_daemon') then
    drop owned by pushd_daemon;
    drop role pushd_daemon;
  end if;
exception when dependent_objects_still_exist then
  raise warning 'pushd: role pushd_daemon is kept, another database still uses it';
end
$$;

do $$
begin
  if exists (select from pg_roles where rolname = 'pushd_reader') then
    drop owned by pushd_reader;
    drop role pushd_reader;
  end if;
exception when dependent_objects_still_exist then
  raise warning 'pushd: role pushd_reader is kept, another database still uses it';
end
$$;
