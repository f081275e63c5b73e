-- 0004 source, taken back: no longer watches ocr_wallet_info; the table and its rows stay
--
-- locks:       ACCESS EXCLUSIVE on ocr_wallet_info, waited for 500 ms at the most
-- reversible:  yes, by 0004_source.up.sql
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0004_source.down.sql

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
    join pg_class on pg_class.oid = tgrelid
    where tgfoid = to_regprocedure('pushd.ring()')
      and tgparentid = 0
      and relname = 'ocr_wallet_info'
  loop
    perform pushd.unwatch(source);
  end loop;

  if to_regclass('pushd.migration') is not null then
    delete from pushd.migration where version = 4;
  end if;
end
$$;
