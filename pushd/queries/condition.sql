-- In what condition the watched table is for us: its trigger, the indexes that claims and sweeps
-- want, how much a sweep has to read without one, and whether row level security hides it all.
select
  coalesce(
    (
      select
        case
          when t.tgfoid is distinct from to_regprocedure('pushd.ring()')::oid then 'foreign'
          when t.tgargs <> convert_to(%(channel)s, getdatabaseencoding()) || '\x00' then 'outdated'
          when t.tgenabled in ('O', 'A') then 'good'
          else 'disabled'
        end
      from pg_trigger as t
      where t.tgrelid = %(oid)s::bigint::oid
        and t.tgname = 'pushd_ring'
    ),
    'missing'
  ) as trigger,
  array(
    select a.attname::text
    from pg_attribute as a
    where a.attrelid = %(oid)s::bigint::oid
      and a.attname in ('create_time', 'id')
      and not exists (
        select
        from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        join pg_am as m on m.oid = c.relam
        where i.indrelid = a.attrelid
          and m.amname = 'btree'
          and i.indkey[0] = a.attnum
          and i.indisvalid
          and i.indpred is null
      )
    order by a.attname
  ) as unindexed,
  pg_size_pretty(
    coalesce(
      (
        select sum(pg_relation_size(part.relid))
        from pg_partition_tree(%(oid)s::bigint::oid) as part
        where part.isleaf
      ),
      pg_relation_size(%(oid)s::bigint::oid)
    )
  ) as size,
  row_security_active(%(oid)s::bigint::oid)
  and not exists (
    select
    from pg_policy as p
    where p.polrelid = %(oid)s::bigint::oid
      and p.polpermissive
      and p.polcmd in ('r', '*')
      and (
        p.polroles = '{0}'
        or exists (
          select
          from unnest(p.polroles) as role
          where pg_has_role(role, 'usage')
        )
      )
  ) as hidden,
  to_regclass(%(table)s)::oid::bigint as named
