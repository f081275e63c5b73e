-- Still alive, and how fresh its rows are.
update pushd.daemon
set
  heartbeat_at = now(),
  data_expiry = %(data_expiry)s * interval '1 second'
where id = %(daemon_id)s
