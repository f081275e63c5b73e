-- The function that procrastinate itself defers jobs with, for all rows of a statement at once.
create function enqueue()
returns trigger
language plpgsql
as $$
begin
  perform procrastinate_defer_jobs_v1(array(
    select row('default', 'push', 0, null, null, jsonb_build_object('row_id', id), null)::procrastinate_job_to_defer_v1
    from added
  ));
  return null;
end
$$;

create trigger enqueue
after insert on ocr_wallet_info
referencing new table as added
for each statement execute function enqueue();
