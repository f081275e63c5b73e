"""Blows at the daemon's own process."""

import asyncio
import importlib.util
import signal
import time
from datetime import datetime
from pathlib import Path

from world import FIRST, SETTLE_BOUND, World

ONE = FIRST


async def nothing(world: World, *, long: bool) -> None:
    """All is well, and so there is no excuse for a single duplicate."""
    with world.blow():
        await world.steady(1000 if long else 300)


async def kill(world: World, *, long: bool) -> None:
    """Kill -9 at random moments of its life, its start included, each time with a restart under the same name."""
    with world.blow():
        for _ in range(10 if long else 3):
            await asyncio.sleep(world.chance.uniform(0.0, 2.0))
            await world.kill(ONE)
            await world.start(ONE, ready=False)
    await world.daemons[ONE].ready(30.0)


async def stop(world: World, *, long: bool) -> None:
    """SIGTERM and a new start, again and again: nobody gets anything twice."""
    with world.blow():
        for _ in range(5 if long else 2):
            await world.steady()
            await world.stop(ONE)
            await world.writers.until_committed(20)
            await world.start(ONE)


async def freeze(world: World, *, long: bool) -> None:
    """SIGSTOP for a while, then CONT, and nobody else there meanwhile."""
    await frozen(world, ONE, 15.0 if long else 4.0)


async def frozen(world: World, name: str, seconds: float) -> None:
    """SIGSTOP and CONT; what it had claimed may go out twice: by the one who took over, and by itself."""
    daemon, begin = world.daemons[name], time.time()
    with world.blow():
        daemon.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            daemon.send(signal.SIGCONT)
    end, before = time.time() + SETTLE_BOUND, begin + SETTLE_BOUND
    world.repeatable(begin - SETTLE_BOUND, end, f"{name} was frozen", before=before)


async def clock_an_hour_off(world: World, *, long: bool) -> None:
    """The host's clock is wrong, both ways: freshness is the database's business."""
    library = _libfaketime()
    for offset in ("+1h", "-1h"):
        await world.stop(ONE)
        # The monotonic clock of a host goes on as before when its wall clock is wrong.
        environ = {
            "LD_PRELOAD": str(library),
            "FAKETIME": offset,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        with world.blow():
            daemon = await world.start(ONE, environ)
        stamped = datetime.strptime(daemon.lines[0][:19], "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
        if abs(abs(stamped - time.time()) - 3600) > 60:
            world.remarks.append(f"its clock was not off by an hour: {daemon.lines[0]}")
        await world.steady(300 if long else 60)


def _libfaketime() -> Path:
    found = importlib.util.find_spec("libfaketime")
    assert found is not None, "the dev extra has it"
    assert found.origin is not None, "it is a package with files"
    return Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
