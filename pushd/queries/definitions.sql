-- What stands in the database of pushd's functions, by name; and the trigger of the watched table beside
-- what pushd.watch makes.
select
  (
    select coalesce(jsonb_object_agg(p.proname, p.prosrc), '{}')
    from pg_proc as p
    where p.pronamespace = to_regnamespace('pushd')
  ) as functions,
  (
    select pg_get_triggerdef(t.oid)
    from pg_trigger as t
    where t.tgrelid = c.oid
      and t.tgname = 'pushd_ring'
  ) as trigger,
  format(
    'CREATE TRIGGER pushd_ring AFTER INSERT ON %%I.%%I REFERENCING NEW TABLE AS inserted '
    'FOR EACH STATEMENT EXECUTE FUNCTION pushd.ring(%%L)',
    n.nspname,
    c.relname,
    %(channel)s::text
  ) as expected
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.oid = %(oid)s::bigint::oid
