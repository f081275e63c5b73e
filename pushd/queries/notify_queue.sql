-- How full the cluster's queue of notifications is, from 0 to 1, and the sessions whose transactions have
-- been open for longest: one of them that listens holds the queue back. What others do can be seen by
-- members of pg_read_all_stats alone; `blind` tells how many sessions cannot.
select
  pg_notification_queue_usage() as usage,
  (
    select count(*)
    from pg_stat_activity as a
    where a.backend_type is null
  ) as blind,
  (
    select coalesce(jsonb_agg(slow.*), '[]')
    from (
      select
        a.pid,
        a.usename::text as role,
        a.application_name as program,
        extract(epoch from now() - a.xact_start)::bigint as seconds
      from pg_stat_activity as a
      where a.backend_type = 'client backend'
        and a.pid <> pg_backend_pid()
        and a.xact_start < now() - interval '10 seconds'
      order by a.xact_start
      limit 3
    ) as slow
  ) as slow
