-- What this role may do though pushd never does it, each with how to take it away. Of a superuser, that
-- he is one says it all; so does of a table, that it is his.
with me as (
  select r.*
  from pg_roles as r
  where r.rolname = current_user
),
needed (name, privileges) as (
  values
    ('migration', '{select}'::text[]),
    ('history', '{select}'),
    ('endpoint', '{select,insert,update}'),
    ('daemon', '{select,insert,update}'),
    ('delivery', '{select,insert,update,delete}')
),
relation as (
  select
    c.oid,
    c.oid::regclass::text as name,
    c.relowner,
    c.relnamespace,
    coalesce(n.privileges, '{select}') as privileges
  from pg_class as c
  left join needed as n on c.oid = to_regclass('pushd.' || n.name)
  where c.oid = %(oid)s::bigint::oid
    or n.name is not null
)
select
  'is a superuser' as what,
  format('alter role %%I nosuperuser;', me.rolname) as fix
from me
where me.rolsuper
union all
select
  right_of.what,
  right_of.fix
from me
cross join lateral (
  select
    'may ' || able.what as what,
    format('alter role %%I no%%s;', me.rolname, able.word) as fix
  from (
    values
      (me.rolcreaterole, 'create roles', 'createrole'),
      (me.rolcreatedb, 'create databases', 'createdb'),
      (me.rolreplication, 'replicate', 'replication'),
      (me.rolbypassrls, 'pass by row level security', 'bypassrls')
  ) as able (can, what, word)
  where able.can
  union all
  select
    'is a member of ' || r.rolname,
    format('revoke %%I from %%I;', r.rolname, me.rolname)
  from pg_roles as r
  where r.rolname in (
      'pg_execute_server_program',
      'pg_read_all_data',
      'pg_read_server_files',
      'pg_signal_backend',
      'pg_write_all_data',
      'pg_write_server_files'
    )
    and pg_has_role(me.oid, r.oid, 'member')
  union all
  select
    'may create schemas in this database',
    format('revoke create on database %%I from %%I, public;', current_database(), me.rolname)
  where has_database_privilege(current_database(), 'create')
  union all
  select
    'may create objects in schema ' || n.nspname,
    format('revoke create on schema %%I from %%I, public;', n.nspname, me.rolname)
  from pg_namespace as n
  where n.oid in (select relation.relnamespace from relation)
    and has_schema_privilege(n.oid, 'create')
  union all
  select
    'owns ' || relation.name,
    format('alter table %%s owner to …;', relation.name)
  from relation
  where pg_has_role(me.oid, relation.relowner, 'member')
  union all
  select
    'may ' || string_agg(privilege.name, ', ') || ' on ' || relation.name,
    format('revoke %%s on %%s from %%I, public;', string_agg(privilege.name, ', '), relation.name, me.rolname)
  from relation
  cross join unnest('{insert,update,delete,truncate,references,trigger}'::text[]) as privilege (name)
  where privilege.name <> all (relation.privileges)
    and has_table_privilege(relation.oid, privilege.name)
    and not pg_has_role(me.oid, relation.relowner, 'member')
  group by relation.name, me.rolname
) as right_of
where not me.rolsuper
