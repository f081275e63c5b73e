"""Too much at once, or in an order that ids do not tell."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import psycopg
from behaviours import slow
from strike_daemon import ONE
from world import World

_GROWTH_MB = 16  # what a daemon may grow by, whatever lies in the table
_OUT_OF_ORDER = 60  # places in the line: pushers overtake each other, pages do not

_BACKLOG = """
    insert into ocr_wallet_info (wallet_code, create_time)
    select 'BACKLOG', now() - (n * 7919 %% %(count)s) * interval '5 microseconds'
    from generate_series(1, %(count)s) as n
    returning id
"""
_INSERT = "insert into ocr_wallet_info (wallet_code, create_time) values ('LATE', now()) returning id"


async def open_transactions(world: World, *, long: bool) -> None:
    """Rows whose transactions stay open while others commit: ids and create_time come out of order."""
    seconds = 10.0 if long else 3.0

    async def hold(share: float) -> None:
        async with world.connect() as connection:
            async with connection.transaction():
                rows: list[tuple[Any, ...]] = []
                for _ in range(3):
                    rows += await (await connection.execute(_INSERT)).fetchall()
                    await asyncio.sleep(seconds * share / 3)
            world.writers.note(rows)

    with world.blow():
        await asyncio.gather(*(hold(share) for share in (1.0, 0.7, 0.4, 1.0)))


async def copy(world: World, *, long: bool) -> None:
    """Many rows in one commit, beside those that come one by one."""
    count = 50_000 if long else 10_000
    with world.blow():
        async with world.connect() as connection:
            async with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy("copy ocr_wallet_info (wallet_code) from stdin") as stream,
            ):
                for number in range(count):
                    await stream.write_row((f"COPY{number}",))
            rows = await (
                await connection.execute("select id from ocr_wallet_info where wallet_code like 'COPY%'")
            ).fetchall()
            world.writers.note(rows)


async def overload(world: World, *, long: bool) -> None:
    """More fresh rows at once than can be pushed in time: memory stays flat, the oldest go first."""
    world.receivers[0].answer = slow(0.005)
    async with world.connect() as connection:
        await connection.execute("insert into ocr_wallet_info (wallet_code) values ('WARM')")
    await world.receivers[0].until(lambda: bool(world.receivers[0].arrivals))
    watching = asyncio.create_task(_watch(world), name="watch")
    try:
        with world.blow():
            await _backlog(world, 200_000 if long else 20_000)
        await asyncio.sleep(world.setting.data_expiry)  # until the last row is stale
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    _check_order(world)


async def _backlog(world: World, count: int) -> None:
    async with await psycopg.AsyncConnection.connect(world.place.dsn, autocommit=True) as connection:
        await connection.execute(_BACKLOG, {"count": count})


async def _watch(world: World) -> None:
    """Look at the daemon's memory and queues until cancelled; what is out of bounds is remarked once."""
    daemon = world.daemons[ONE]
    size = int(world.setting.webhook.get("queue_size", 1000))
    before, worst, longest = rss_kb(daemon.pid), 0, 0
    try:
        while True:
            stats = await daemon.stats()
            worst = max(worst, rss_kb(daemon.pid))
            longest = max([longest, *(of["queued"] + of["busy"] for of in stats["endpoints"].values())])
            await asyncio.sleep(0.2)
    finally:
        if worst - before > _GROWTH_MB * 1024:
            world.remarks.append(f"memory grew from {before} to {worst} kB")
        if longest > size:
            world.remarks.append(f"{longest} deliveries in a lane of {size}")


def _check_order(world: World) -> None:
    """Oldest first, by the create_time in what arrived: no row far from its place."""
    arrived = list(dict.fromkeys(arrival.webhook_id for arrival in world.receivers[0].arrivals))[1:]  # without WARM
    places = {name: place for place, name in enumerate(sorted(arrived, key=lambda name: int(name.split("-")[1])))}
    worst = max((abs(place - places[name]) for place, name in enumerate(arrived)), default=0)
    if worst > _OUT_OF_ORDER:
        world.remarks.append(f"a row arrived {worst} places from where its age puts it")
    if len(arrived) < 100:
        world.remarks.append(f"only {len(arrived)} rows arrived")


def rss_kb(pid: int) -> int:
    """A process's resident memory now."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
