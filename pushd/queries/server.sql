-- What kind of server, role and session this is; the server's clock comes last.
select
  current_setting('server_version') as version,
  current_setting('server_version_num')::integer as number,
  pg_is_in_recovery() as standby,
  current_user::text as role,
  current_database()::text as name,
  current_setting('synchronous_commit') as synchronous_commit,
  extract(epoch from clock_timestamp())::double precision as clock
