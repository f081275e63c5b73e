-- What there is of a table by this name, as this role sees it; no row when there is none.
select
  c.oid::bigint,
  n.nspname,
  c.relname,
  c.relkind in ('r', 'p') as is_table,
  current_setting('server_encoding') as encoding,
  (
    select jsonb_object_agg(a.attname, format_type(a.atttypid, null))
    from pg_attribute as a
    where a.attrelid = c.oid
      and a.attnum > 0
      and not a.attisdropped
  ) as types,
  (
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}')
    from pg_attribute as a
    where a.attrelid = c.oid
      and a.attname = any(%(columns)s::text[])
      and not has_column_privilege(c.oid, a.attnum, 'select')
  ) as unreadable,
  %(timezone)s::text is null
  or exists (
    select
    from pg_timezone_names as z
    where z.name = %(timezone)s
  ) as timezone_is_known
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = to_regclass(%(table)s)
