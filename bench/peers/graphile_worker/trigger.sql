-- add_jobs takes all rows of a statement at once: the manual's advice for many jobs.
create function enqueue()
returns trigger
language plpgsql
as $$
begin
  perform graphile_worker.add_jobs(array(
    select row('push', json_build_object('id', id), null, null, null, null, null, null)::graphile_worker.job_spec
    from added
  ));
  return null;
end
$$;

create trigger enqueue
after insert on ocr_wallet_info
referencing new table as added
for each statement execute function enqueue();
