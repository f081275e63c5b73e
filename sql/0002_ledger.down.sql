-- 0002 ledger, taken back: drops the endpoints, the daemons and the whole history of deliveries
--
-- locks:       ACCESS EXCLUSIVE on the tables of pushd; none on any table of the application
-- reversible:  the objects by 0002_ledger.up.sql; the history is gone
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0002_ledger.down.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if to_regprocedure('pushd.ring()') is not null then
    raise exception 'pushd: take back 0003_doorbell first';
  end if;
end
$$;

drop view if exists pushd.history;
drop table if exists pushd.delivery;
drop table if exists pushd.daemon;
drop table if exists pushd.endpoint;

do $$
begin
  if to_regclass('pushd.migration') is not null then
    delete from pushd.migration where version = 2;
  end if;
end
$$;
