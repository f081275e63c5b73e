"""Several daemons on one ledger: each row once, and the rows of one that goes are another's."""

import asyncio
import signal
from collections import Counter

from aiohttp import web
from conftest import Database, StartDaemon, connect

from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver


def named(name: str, extra: str = "") -> str:
    return f'[daemon]\nname = "{name}"\n{extra}'


async def started(start_daemon: StartDaemon, receiver: Receiver, *names: str) -> list[DaemonProcess]:
    """Daemons that know of each other; only the first one can have the doorbell."""
    daemons = [await start_daemon([receiver.url()], extra=named(name), ready=False) for name in names]
    for daemon in daemons:
        await daemon.ready()
    return daemons


async def test_three_daemons_push_each_row_once(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """All of them take part, and nobody does what another one does."""
    daemons = await started(start_daemon, receiver, "a", "b", "c")
    await database.until("select count(*) from pushd.daemon where lease_until > now()", [(3,)])
    rows = []
    for _ in range(30):
        rows += [
            row
            for (row,) in database.execute(
                "insert into ocr_wallet_info (wallet_code) select 'A' from generate_series(1, 10) returning id"
            )
        ]
        await asyncio.sleep(0)
    await receiver.until_accepted(rows, within=20)
    assert set(receiver.accepted_rows.values()) == {1}
    shares = Counter(name for (name,) in database.execute("select daemon from pushd.history"))
    assert sum(shares.values()) == 300
    assert len(shares) == 3
    for daemon in daemons:
        assert await daemon.stop() == 0


async def test_stopping_daemon_hands_over_at_once(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """What it could not finish is pushed by the other long before a lease runs out; new rows do not wait for it."""
    slow = asyncio.Event()

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await slow.wait()
        return web.json_response({})

    receiver.answer = answer
    (first,) = await started(start_daemon, receiver, "first")
    rows = [database.insert() for _ in range(20)]
    await database.until("select count(*) from pushd.delivery where state = 0", [(20,)])
    (second,) = await started(start_daemon, receiver, "second")
    first.send(signal.SIGTERM)
    await first.line("stopping, finishing what is claimed")
    rows += [database.insert() for _ in range(20)]
    slow.set()
    await receiver.until_accepted(rows, within=8)
    assert await first.ended() == 0
    assert set(receiver.accepted_rows.values()) == {1}
    assert await second.stop() == 0


async def test_claims_of_a_killed_daemon_are_taken_over_within_a_lease(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """And the name that was killed may come back meanwhile, with nothing done twice."""
    held = asyncio.Event()

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await held.wait()
        return web.json_response({})

    receiver.answer = answer
    (dead,) = await started(start_daemon, receiver, "dead")
    rows = [database.insert() for _ in range(10)]
    await database.until("select count(*) from pushd.delivery where state = 0", [(10,)])
    (heir,) = await started(start_daemon, receiver, "heir")
    dead.send(signal.SIGKILL)
    await dead.ended()
    held.set()
    await heir.line("lease of another daemon ran out, its claims are free .*released=10", within=20)
    await receiver.until_accepted(rows)
    assert await heir.stop() == 0


async def test_second_daemon_of_a_name_does_not_start(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """One line says why, systemd leaves it down, and the first one goes on."""
    (first,) = await started(start_daemon, receiver, "twin")
    second = await start_daemon([receiver.url()], extra=named("twin"), ready=False)
    assert await second.ended() == 78
    assert second.lines[-1] == "pushctl: another daemon named twin is alive: give each its own with daemon.name"
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    assert await first.stop() == 0


async def test_daemon_that_lost_its_name_ends(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Whoever goes on under a name that is another's would have its claims given up by that one."""
    (daemon,) = await started(start_daemon, receiver, "lost")
    with connect(database.dsn) as connection:
        connection.execute("update pushd.daemon set instance = gen_random_uuid()")
    assert await daemon.ended() == 78
    assert "another daemon named lost is alive" in daemon.lines[-1]


async def test_claim_of_a_former_process_of_the_name_is_found_within_a_lease_of_the_start(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """It did not know yet that the name was another's, and ended before it pushed."""
    (daemon,) = await started(start_daemon, receiver, "heir")
    with connect(database.dsn) as connection, connection.transaction():
        ((row_id,),) = connection.execute(
            "insert into ocr_wallet_info (wallet_code) values ('A') returning id"
        ).fetchall()
        connection.execute(
            "insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id)"
            " select r.create_time, r.id, e.id, d.id from ocr_wallet_info as r, pushd.endpoint as e, pushd.daemon as d"
        )
    await daemon.line("claims without an owner recovered .*released=1", within=20)
    await receiver.until_accepted([row_id])
    assert await daemon.stop() == 0
