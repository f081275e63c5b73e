"""Blows at one of several daemons, and the others carry on."""

import asyncio
import time

from behaviours import slow, unwilling
from strike_daemon import ONE, frozen
from world import SETTLE_BOUND, World

from pushd.demo.receiver import accept

LEASE = 12.0  # seconds, DESIGN §4.1


async def kill_one_of_three(world: World, *, long: bool) -> None:
    """The others take over what it had claimed within a lease, and it does not come back."""
    for name in (ONE, "daemon-2") if long else (ONE,):
        await asyncio.sleep(world.chance.uniform(0.0, 1.0))
        with world.blow():
            await world.kill(name)
        await world.steady(200)


async def stop_one_of_three(world: World, *, long: bool) -> None:
    """It hands over at once, and nobody gets anything twice."""
    for name in (ONE, "daemon-2") if long else (ONE,):
        with world.blow():
            await world.stop(name)
        await world.steady(200)


async def freeze_beyond_lease(world: World, *, long: bool) -> None:
    """SIGSTOP until another has taken over, then CONT."""
    await frozen(world, ONE, LEASE + (10.0 if long else 3.0))


async def cut_off_beyond_lease(world: World, *, long: bool) -> None:
    """One loses PostgreSQL, but not the receiver, with rows in hand, until another has taken them over."""
    world.receivers[0].answer = slow(0.2)
    async with world.connect() as connection:
        await connection.execute("insert into ocr_wallet_info (wallet_code) select 'HAND' from generate_series(1, 200)")
    begin = time.time()
    with world.blow():
        world.proxy.freeze()
        await asyncio.sleep(LEASE + (10.0 if long else 3.0))
        world.receivers[0].answer = accept
        world.proxy.thaw()
    end, before = time.time() + SETTLE_BOUND, begin + SETTLE_BOUND
    world.repeatable(begin - SETTLE_BOUND, end, "daemon-1 was cut off", before=before)


async def storm(world: World, *, long: bool) -> None:
    """Everything that can befall daemons and their sessions, in any order, for a while."""
    world.receivers[0].answer = unwilling(0.2)
    until = time.monotonic() + (60.0 if long else 15.0)
    while time.monotonic() < until:
        name = world.chance.choice(sorted(world.daemons))
        await asyncio.sleep(world.chance.uniform(0.0, 1.0))
        match world.chance.choice(("kill", "stop", "freeze", "terminate")):
            case "kill":
                with world.blow():
                    await world.kill(name)
                    await world.start(name, ready=False)
            case "stop":
                await world.daemons[name].ready(30.0)  # the rule of exit code 0 is for one that has begun
                with world.blow():
                    await world.stop(name)
                    await world.start(name, ready=False)
            case "freeze":
                await frozen(world, name, world.chance.choice((0.5, 3.0, LEASE + 2.0)))
            case "terminate":
                with world.blow():
                    await world.execute(_END_ALL)
    world.receivers[0].answer = accept
    for daemon in world.daemons.values():
        await daemon.ready(30.0)


_END_ALL = """
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where datname = current_database() and application_name like 'pushd %'
"""
