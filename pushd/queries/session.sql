-- What each of our sessions is like. Our statements read few rows of large tables by an index: where there
-- is one, no plan may read all of a table, not even one that was made while the table was small; and none
-- is worth compiling. (Where there is no index, it has to be read.) And a session whose client has
-- vanished, host and all, is to end soon: it may hold a lock that others wait for. Plans are made once:
-- to plan a claim anew takes as long as to execute it.
select
  set_config('statement_timeout', %(statement_timeout)s, false),
  set_config('idle_session_timeout', '0', false),
  set_config('enable_seqscan', 'off', false),
  set_config('jit', 'off', false),
  set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('max_parallel_workers_per_gather', '0', false),
  set_config('tcp_keepalives_idle', '10', false),
  set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false),
  -- Set for a role or a database, these would end what waits on purpose. (Not each version has all of them.)
  (
    select string_agg(set_config(name, '0', false), ',')
    from pg_settings
    where name in ('lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
  )
