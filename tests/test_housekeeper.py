"""What has to be done now and then: nothing vanishes, nothing piles up, and a trigger that is gone is noticed."""

import asyncio

from aiohttp import web
from conftest import Database, StartDaemon

from pushd.demo.receiver import Receiver


async def test_rows_that_expired_while_nobody_ran_are_recorded(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Every row of the outage has its outcome soon after the start, and none is pushed."""
    first = await start_daemon([receiver.url()], data_expiry="1s")
    assert await first.stop() == 0
    rows = [database.insert() for _ in range(1200)]
    await database.until("select max(create_time) < now() - interval '1 s' from ocr_wallet_info", [(True,)])
    await start_daemon([receiver.url()], data_expiry="1s")
    await database.until("select state, count(*) from pushd.history group by 1", [("expired", len(rows))])
    assert not receiver.arrivals


async def test_look_back_ends_where_no_daemon_had_been_alive_yet(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """The first start is owed what is fresh, and accounts for no rows from before pushd was there."""
    old = database.insert_aged(3600)
    recent = database.insert_aged(20)
    await start_daemon([receiver.url()], data_expiry="10s")
    await database.until("select count(*) from pushd.history", [(1,)])
    assert {row_id for row_id, _ in database.history()} == {recent}
    assert old not in receiver.accepted_rows


async def test_rows_that_had_no_room_while_they_were_fresh_are_recorded(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """A receiver that is too slow for its rows: all of them end in an outcome, and the sums agree."""
    answered = asyncio.Event()

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await answered.wait()
        return web.json_response({})

    receiver.answer = answer
    daemon = await start_daemon([receiver.url()], data_expiry="2s", queue_size=5, timeout="1s")
    rows = [database.insert() for _ in range(50)]
    await database.until(
        "select count(*) from pushd.history where state in ('expired', 'failed')", [(len(rows),)], within=30
    )
    stats = await daemon.stats()
    assert stats["claimed"] == len(rows) == stats["expired"] + stats["failed"]


async def test_old_deliveries_go(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Those beyond history_retention, many batches of them, and no other."""
    database.execute(
        "insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id, state, claimed_at, settled_at)"
        " select now() - age, n, 1, 1, 1, now() - age, now()"
        " from generate_series(1, 10000) as n, lateral (select n * interval '2 min') as a (age)"
    )
    await start_daemon([receiver.url()], extra='[ledger]\nhistory_retention = "1d"')
    await database.until("select max(now() - row_time) < interval '1441 min' from pushd.delivery", [(True,)])
    ((kept,),) = database.execute("select count(*) from pushd.delivery")
    assert 719 <= kept <= 720


async def test_trigger_that_is_taken_off_and_put_back_is_noticed(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Meanwhile rows are found by sweeping, twice a second."""
    daemon = await start_daemon([receiver.url()])
    database.execute("drop trigger pushd_ring on ocr_wallet_info")
    await daemon.line("ERROR the trigger on public.ocr_wallet_info is missing", within=15)
    row_id = database.insert()
    await receiver.until_accepted([row_id], within=2)
    database.execute("select pushd.watch('ocr_wallet_info')")
    await daemon.line("the trigger is as it should be again", within=15)


async def test_row_security_that_hides_every_row_is_a_reason_to_be_unready(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Nothing else would tell: no statement fails, and no row is found. Mended, rows come, and it is ready again."""
    daemon = await start_daemon([receiver.url()])
    database.execute("alter table ocr_wallet_info enable row level security")
    await daemon.line("ERROR row level security is on for public.ocr_wallet_info", within=15)
    status, body = await daemon.get("/readyz")
    assert (status, "create policy pushd_sees_all" in body.decode()) == (503, True)
    row_id = database.insert()
    database.execute("create policy pushd_sees_all on ocr_wallet_info for select to pushd_daemon using (true)")
    await daemon.line("rows can be seen again", within=15)
    await receiver.until_accepted([row_id])
    assert (await daemon.get("/readyz"))[0] == 200
