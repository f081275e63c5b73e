-- 0003 doorbell: the trigger function, and pushd.watch / pushd.unwatch to put it on a table
--
-- locks:       none on any table of the application (pushd.watch takes one: see there)
-- reversible:  yes, by 0003_doorbell.down.sql
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0003_doorbell.up.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if not exists (select from pushd.migration where version = 2) then
    raise exception 'pushd: apply 0002_ledger first';
  end if;
end
$$;

-- ring ----------------------------------------------------------------------

-- A transaction that has notified holds one cluster-wide lock while it commits,
-- and so writers would queue up behind each other. Therefore: ask first whether
-- anybody sleeps. A daemon that waits for notifications holds (or asks for) the
-- doorbell lock exclusively; while it does not, the shared lock is free, and
-- the writer who gets it leaves without ringing. He keeps it until his
-- transaction ends, and so the daemon, once granted the exclusive lock, knows
-- that everyone who left without ringing has come to an end and can be seen.
--
-- 1886745448 is 'push' in ASCII; the other half of the key is the table.
--
-- It has no "set search_path", which would double what it costs a writer; the
-- names are written in full, and each operator below finds its exact types in
-- pg_catalog, which is searched first.
create or replace function pushd.ring() returns trigger
language plpgsql
as $$
declare
  ids text;
begin
  if pg_catalog.pg_try_advisory_xact_lock_shared(1886745448, tg_relid::integer) then
    return null;
  end if;

  -- Other listeners can fill the notification queue of the cluster; once it is
  -- full, every commit that notifies fails. The daemon's sweep finds the rows.
  if pg_catalog.pg_notification_queue_usage() > 0.5::double precision then
    return null;
  end if;

  -- Up to 100 ids (2,000 bytes at most, of the 8,000 that a payload may have);
  -- more than that: a star, and the daemon looks for itself. So it does when a
  -- column has another name by now: that is its trouble, and not the writer's.
  begin
    select case when pg_catalog.count(*) > 100 then '*' else pg_catalog.string_agg(id::text, ',') end
    into ids
    from (
      select id
      from inserted
      where wallet_code::pg_catalog.text operator(pg_catalog.<>) ''
      limit 101
    ) as candidate;
  exception when others then
    ids := '*';
  end;

  if ids is not null then
    perform pg_catalog.pg_notify(tg_argv[0], ids);
  end if;
  return null;
end
$$;

comment on function pushd.ring() is
  'trigger: tells a sleeping daemon the ids of the new rows; never waits, never fails the insert';

-- watch ---------------------------------------------------------------------

-- The columns that the daemon reads; the one list that grants and checks share.
create or replace function pushd.source_columns() returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select array[
    'id',
    'source_ip',
    'msg_id',
    'group_id',
    'wallet_code',
    'serial_no',
    'wx_id',
    'wx_nick_name',
    'pic_url',
    'create_time'
  ];
$$;

comment on function pushd.source_columns() is
  'the columns of a watched table that the daemon reads';

-- Locks: SHARE ROW EXCLUSIVE on the table until the transaction ends (ACCESS
-- EXCLUSIVE when the table was renamed since). It waits for open writers, and new
-- ones wait behind it, half a second at the most; then it gives up ("canceling
-- statement due to lock timeout"): try again.
create or replace function pushd.watch(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
as $$
declare
  relation pg_class;
  channel  text;
  missing  text;
begin
  select * into relation from pg_class where oid = source;

  if relation.relkind not in ('r', 'p') then
    raise exception 'pushd: % is not a table', source;
  end if;

  channel := 'pushd_' || relation.relname;
  if octet_length(channel) > 63 then
    raise exception 'pushd: the name of % is too long: a channel name has 63 bytes at the most', source;
  end if;

  select string_agg(wanted.name, ', ' order by wanted.position)
  into missing
  from unnest(pushd.source_columns()) with ordinality as wanted (name, position)
  where not exists (
    select
    from pg_attribute
    where attrelid = source
      and attname = wanted.name
      and not attisdropped
  );
  if missing is not null then
    raise exception 'pushd: % has no column %', source, missing;
  end if;

  -- The trigger was told a channel when it was made; since then the table may have been renamed.
  if exists (
    select
    from pg_trigger
    where tgrelid = source
      and tgname = 'pushd_ring'
      and tgfoid = 'pushd.ring()'::regprocedure
      and tgargs <> convert_to(channel, getdatabaseencoding()) || '\x00'
  ) then
    execute format('drop trigger pushd_ring on %s', source);
  end if;

  if not exists (
    select
    from pg_trigger
    where tgrelid = source
      and tgname = 'pushd_ring'
      and tgfoid = 'pushd.ring()'::regprocedure
  ) then
    execute format(
      'create trigger pushd_ring
       after insert on %s
       referencing new table as inserted
       for each statement
       execute function pushd.ring(%L)',
      source, channel
    );
    execute format(
      'comment on trigger pushd_ring on %s is %L',
      source, 'pushd: tells a sleeping daemon of new rows; put here by pushd.watch'
    );
  end if;

  execute format(
    'grant usage on schema %s to pushd_daemon',
    relation.relnamespace::regnamespace
  );
  execute format(
    'grant select (%s) on %s to pushd_daemon',
    array_to_string(pushd.source_columns(), ', '), source
  );
end
$$;

comment on function pushd.watch(regclass) is
  'puts the trigger of pushd on a table and lets the daemon read its columns; no-op when already so';

-- Locks: ACCESS EXCLUSIVE on the table until the transaction ends, waited for
-- half a second at the most, as above.
create or replace function pushd.unwatch(source regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
set client_min_messages = warning
as $$
declare
  granted text;
begin
  execute format('drop trigger if exists pushd_ring on %s', source);

  -- Whatever the columns are called by now, the rights on them go.
  select string_agg(quote_ident(attname), ', ' order by attnum)
  into granted
  from pg_attribute
  where attrelid = source
    and attnum > 0
    and not attisdropped
    and attacl is not null;

  if granted is not null then
    execute format('revoke select (%s) on %s from pushd_daemon', granted, source);
  end if;
end
$$;

comment on function pushd.unwatch(regclass) is
  'takes off what pushd.watch has put on, but for the right to use the schema; no-op when already so';

-- Only who may alter the table can do either; there is nothing here for others.
revoke execute on function pushd.watch(regclass) from public;
revoke execute on function pushd.unwatch(regclass) from public;

insert into pushd.migration (version, name)
values (3, 'doorbell')
on conflict do nothing;
