-- What this role has to be allowed on pushd's own tables, and is not.
select needed.privilege || ' on pushd.' || needed.name
from (
  values
    ('migration', 'select'),
    ('endpoint', 'select'),
    ('endpoint', 'insert'),
    ('daemon', 'select'),
    ('daemon', 'insert'),
    ('daemon', 'update'),
    ('delivery', 'select'),
    ('delivery', 'insert'),
    ('delivery', 'update'),
    ('delivery', 'delete')
) as needed (name, privilege)
where not has_table_privilege('pushd.' || needed.name, needed.privilege)
