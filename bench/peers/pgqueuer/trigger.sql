-- What pgqueuer's own enqueue writes, for all rows of a statement at once.
create function enqueue()
returns trigger
language plpgsql
as $$
begin
  with queued as (
    insert into pgqueuer (priority, entrypoint, payload, execute_after, status)
    select 0, 'push', convert_to(id::text, 'UTF8'), now(), 'queued'
    from added
    returning id
  )
  insert into pgqueuer_log (job_id, status, entrypoint, priority)
  select id, 'queued', 'push', 0
  from queued;
  return null;
end
$$;

create trigger enqueue
after insert on ocr_wallet_info
referencing new table as added
for each statement execute function enqueue();
