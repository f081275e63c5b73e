-- In what condition the watched table is for us: its trigger, the indexes that claims and sweeps
-- want, and how much a sweep has to read without one.
select
  coalesce(
    (
      select
        case
          when t.tgfoid is distinct from to_regprocedure('pushd.ring()')::oid then 'foreign'
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
        where i.indrelid = a.attrelid
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
  ) as size
