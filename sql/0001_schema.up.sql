-- 0001 schema: the house of pushd, its list of migrations, and its two roles
--
-- locks:       none on any table of the application
-- reversible:  yes, by 0001_schema.down.sql
-- repeatable:  yes, a second run changes nothing
-- run as:      a role that may create schemas and roles
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0001_schema.up.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
begin
  -- One migration at a time, whoever starts it; let go at commit.
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if current_setting('server_version_num')::integer < 140000 then
    raise exception 'pushd needs PostgreSQL 14 or newer, this is %', current_setting('server_version');
  end if;
end
$$;

create schema if not exists pushd;

comment on schema pushd is
  'pushd: pushes fresh rows of a watched table to webhooks';

create table if not exists pushd.migration (
  version    integer     not null,
  name       text        not null,
  applied_at timestamptz not null default now(),
  constraint migration_pkey primary key (version),
  constraint version_is_positive check (version > 0)
);

comment on table pushd.migration is
  'the files of sql/ that are in force here, one row each';
comment on column pushd.migration.version is 'the number that the file begins with';
comment on column pushd.migration.name is 'the rest of the file name';
comment on column pushd.migration.applied_at is 'when the file was first applied';

-- Roles belong to the whole cluster: another database may have made them already.
-- Then they are left as they are: only whoever made them may alter them.
--
-- synchronous_commit = off is safe: a crash of the server can lose the last
-- claims and outcomes, and then those deliveries are made again; none is lost.
-- It saves a WAL flush a batch.
do $$
begin
  if not exists (select from pg_roles where rolname = 'pushd_daemon') then
    create role pushd_daemon login;
    alter role pushd_daemon set synchronous_commit = off;
    comment on role pushd_daemon is
      'the daemon of pushd: reads the watched columns, writes its own tables, nothing else';
  end if;

  if not exists (select from pg_roles where rolname = 'pushd_reader') then
    create role pushd_reader nologin;
    comment on role pushd_reader is
      'reads the views of pushd; grant it to people and to monitoring';
  end if;
end
$$;

grant usage on schema pushd to pushd_daemon, pushd_reader;
grant select on pushd.migration to pushd_daemon, pushd_reader;

insert into pushd.migration (version, name)
values (1, 'schema')
on conflict do nothing;
