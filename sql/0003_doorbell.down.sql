-- 0003 doorbell, taken back: takes the trigger off every watched table, then drops its functions
--
-- locks:       ACCESS EXCLUSIVE on each table that is still watched, waited for 500 ms at the most
-- reversible:  yes, by 0003_doorbell.up.sql and pushd.watch
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0003_doorbell.down.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
declare
  source regclass;
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  for source in
    select tgrelid
    from pg_trigger
    where tgfoid = to_regprocedure('pushd.ring()')
      and tgparentid = 0
  loop
    perform pushd.unwatch(source);
  end loop;
end
$$;

drop function if exists pushd.unwatch(regclass);
drop function if exists pushd.watch(regclass);
drop function if exists pushd.source_columns();
drop function if exists pushd.ring();

do $$
begin
  if to_regclass('pushd.migration') is not null then
    delete from pushd.migration where version = 3;
  end if;
end
$$;
