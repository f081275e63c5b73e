-- The usual trigger: one notification for each row.
create function naive()
returns trigger
language plpgsql
as $$
begin
  perform pg_notify('naive', new.id::text);
  return null;
end
$$;

create trigger naive
after insert on ocr_wallet_info
for each row execute function naive();
