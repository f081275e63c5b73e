-- Whether a daemon holds the doorbell lock of a table exclusively: then every writer notifies.
-- (objsubid 2 marks an advisory lock of two integers.)
select
  exists (
    select
    from pg_locks as l
    where l.locktype = 'advisory'
      and l.database = (select d.oid from pg_database as d where d.datname = current_database())
      and l.classid = %(key)s::bigint::oid
      and l.objid = (%(table)s::bigint & 4294967295)::oid
      and l.objsubid = 2
      and l.mode = 'ExclusiveLock'
      and l.granted
  )
