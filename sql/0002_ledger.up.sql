-- 0002 ledger: who receives, who sends, and how every delivery ended
--
-- locks:       none on any table of the application
-- reversible:  yes, by 0002_ledger.down.sql
-- repeatable:  yes, a second run changes nothing
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f sql/0002_ledger.up.sql

set local lock_timeout = '500ms';
set local client_min_messages = warning;

do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('pushd.migration', 0));

  if not exists (select from pushd.migration where version = 1) then
    raise exception 'pushd: apply 0001_schema first';
  end if;
end
$$;

-- endpoint ------------------------------------------------------------------

create table if not exists pushd.endpoint (
  id    smallint    not null generated always as identity,
  name  text        not null,
  since timestamptz not null,
  constraint endpoint_pkey primary key (id),
  constraint endpoint_name_is_unique unique (name),
  constraint endpoint_name_is_not_empty check (name <> '')
);

comment on table pushd.endpoint is
  'the receivers, registered by the daemon at first sight and never deleted';
comment on column pushd.endpoint.name is
  'its identity: host and path of its URL, never user, password or query';
comment on column pushd.endpoint.since is
  'rows older than this are not owed to it; -infinity for the endpoints of the very first start';

-- daemon --------------------------------------------------------------------

create table if not exists pushd.daemon (
  id           integer     not null generated always as identity,
  name         text        not null,
  instance     uuid,
  backend_pid  integer,
  data_expiry  interval    not null,
  claims       boolean     not null default true,
  started_at   timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  lease_until  timestamptz,
  constraint daemon_pkey primary key (id),
  constraint daemon_name_is_unique unique (name),
  constraint daemon_name_is_not_empty check (name <> ''),
  constraint data_expiry_is_positive check (data_expiry > interval '0')
);

comment on table pushd.daemon is
  'the daemons that claim deliveries, one row a name';
comment on column pushd.daemon.name is
  'daemon.name of its configuration; a restarted daemon of the same name takes its claims back';
comment on column pushd.daemon.instance is
  'changes with every start: a process that finds another one here has lost its name and ends';
comment on column pushd.daemon.backend_pid is
  'the session of its heartbeat; while that one is there, no other daemon may take the name';
comment on column pushd.daemon.data_expiry is 'how old a row may be when it pushes it';
comment on column pushd.daemon.claims is
  'whether it takes new rows; false while it finishes what it has, on its way down';
comment on column pushd.daemon.started_at is 'when a daemon of this name last started';
comment on column pushd.daemon.heartbeat_at is
  'when it was last alive: what it has claimed but not settled is no older than this less data_expiry and ten minutes';
comment on column pushd.daemon.lease_until is
  'once this has passed the others take over its claims; null when it has none left, having stopped or been taken over';

-- delivery ------------------------------------------------------------------

-- One insert (the claim) and one update (the outcome) a delivery. No index but
-- the primary key, and the update touches none of its columns: with 55 % of
-- each page left free, the outcomes of a whole page fit beside its claims, and
-- the update stays a heap-only one, which no index feels.
--
-- No foreign keys on purpose: endpoints and daemons are never deleted, and each
-- claim would have to lock the one row of its endpoint.
create table if not exists pushd.delivery (
  row_time    timestamptz not null,
  row_id      bigint      not null,
  claimed_at  timestamptz not null default clock_timestamp(),
  settled_at  timestamptz,
  daemon_id   integer     not null,
  endpoint_id smallint    not null,
  state       smallint    not null default 0,
  attempts    smallint    not null default 0,
  status      smallint,
  response_ms integer,
  error       text,
  constraint delivery_pkey primary key (row_time, row_id, endpoint_id),
  constraint state_is_known check (state between 0 and 4),
  constraint attempts_are_counted_up check (attempts >= 0),
  constraint settled_exactly_when_not_claimed check ((settled_at is null) = (state = 0))
)
with (
  fillfactor = 45,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);

comment on table pushd.delivery is
  'the ledger: one row of the watched table x one endpoint, from claim to outcome';
comment on column pushd.delivery.row_time is 'create_time of the row';
comment on column pushd.delivery.row_id is 'id of the row';
comment on column pushd.delivery.claimed_at is 'when a daemon took it';
comment on column pushd.delivery.settled_at is 'when its outcome was recorded; null while it is claimed';
comment on column pushd.delivery.daemon_id is 'pushd.daemon that took it';
comment on column pushd.delivery.endpoint_id is 'pushd.endpoint that it goes to';
comment on column pushd.delivery.state is
  '0 claimed, 1 delivered, 2 failed, 3 expired, 4 filtered; pushd.history has the words';
comment on column pushd.delivery.attempts is 'POSTs made';
comment on column pushd.delivery.status is 'HTTP status of the last attempt; null when there was no answer';
comment on column pushd.delivery.response_ms is 'duration of the last attempt in milliseconds';
comment on column pushd.delivery.error is 'why the last attempt did not succeed';

-- history -------------------------------------------------------------------

create or replace view pushd.history as
select
  d.row_id,
  d.row_time,
  e.name as endpoint,
  case d.state
    when 0 then 'claimed'
    when 1 then 'delivered'
    when 2 then 'failed'
    when 3 then 'expired'
    when 4 then 'filtered'
  end as state,
  d.attempts,
  d.status,
  d.response_ms,
  d.error,
  d.claimed_at,
  d.settled_at,
  s.name as daemon
from pushd.delivery as d
join pushd.endpoint as e on e.id = d.endpoint_id
join pushd.daemon as s on s.id = d.daemon_id;

comment on view pushd.history is
  'the ledger for people: states as words, endpoints and daemons by name';

-- grants --------------------------------------------------------------------

grant select, insert, update on pushd.endpoint to pushd_daemon;
grant select, insert, update on pushd.daemon to pushd_daemon;
grant select, insert, update, delete on pushd.delivery to pushd_daemon;
grant select on pushd.history to pushd_daemon, pushd_reader;

insert into pushd.migration (version, name)
values (2, 'ledger')
on conflict do nothing;
