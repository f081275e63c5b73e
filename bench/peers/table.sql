-- The watched table, as sql/0004_source.up.sql makes it where it is missing, without its index for sweeps.
create table ocr_wallet_info (
  id           bigserial primary key,
  source_ip    text,
  msg_id       text,
  group_id     text,
  wallet_code  text,
  serial_no    text,
  wx_id        text,
  wx_nick_name text,
  pic_url      text,
  create_time  timestamptz default now()
);
