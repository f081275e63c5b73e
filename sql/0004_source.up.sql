-- 0004 source: watches ocr_wallet_info, and creates it for a first try where there is none
--
-- locks:       SHARE ROW EXCLUSIVE on ocr_wallet_info, waited for 500 ms at the most (see pushd.watch)
-- reversible:  yes, by 0004_source.down.sql, which never drops the table
-- repeatable:  yes, a second run changes nothing
--
-- The table is the application's: its columns, rows and owner are never touched.
-- It is looked for in every schema. Should there be several of the name, none is
-- watched: say which one with  select pushd.watch('schema.table');
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0004_source.up.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
declare
  sources regclass[];
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if not exists (select from pushd.migration where version = 3) then
    raise exception 'pushd: apply 0003_doorbell first';
  end if;

  select array_agg(c.oid::regclass)
  into sources
  from pg_class as c
  where c.relname = 'ocr_wallet_info'
    and c.relkind in ('r', 'p')
    and c.relpersistence <> 't';

  if sources is null then
    create table public.ocr_wallet_info (
      id           bigserial,
      source_ip    text,
      msg_id       text,
      group_id     text,
      wallet_code  text,
      serial_no    text,
      wx_id        text,
      wx_nick_name text,
      pic_url      text,
      create_time  timestamptz default now(),
      constraint ocr_wallet_info_pkey primary key (id)
    );
    create index ocr_wallet_info_create_time_idx on public.ocr_wallet_info (create_time, id);
    comment on table public.ocr_wallet_info is
      'wallet codes that the OCR service has read from pictures';
    sources := array['public.ocr_wallet_info'::regclass];
  end if;

  if cardinality(sources) = 1 then
    perform pushd.watch(sources[1]);
  else
    raise warning 'pushd: there are several tables of this name (%): say which with select pushd.watch(...)',
      array_to_string(sources, ', ');
  end if;
end
$$;

insert into pushd.migration (version, name)
values (4, 'source')
on conflict do nothing;
