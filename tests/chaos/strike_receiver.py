"""Blows at receivers, and at the way to them."""

import asyncio
import time

from behaviours import dripping, resetting, silent, unwilling
from world import World

from pushd.demo.receiver import accept

_SHARE = 0.2  # more, and some row is so unlucky that its next retry is a minute away
_PROMPT = 1.5  # seconds from commit to arrival, at worst, for a receiver that is well; two busy cores


async def down(world: World, *, long: bool) -> None:
    """Connection refused for a while, then it is back, well inside data_expiry."""
    receiver, begin = world.receivers[0], time.time()
    with world.blow():
        await receiver.refuse()
        world.repeatable(begin - 1.0, time.time() + 0.2, "the receiver went down before its answer was out")
        await asyncio.sleep(20.0 if long else 6.0)
        await receiver.take_up()


async def refuses_at_random(world: World, *, long: bool) -> None:
    """Status 500 for a fifth of all requests."""
    world.receivers[0].answer = unwilling(_SHARE)
    await _suffered(world, long=long)


async def resets(world: World, *, long: bool) -> None:
    """Status 200, then RST in the middle of the body, for a fifth of all requests."""
    world.receivers[0].answer = resetting(_SHARE)
    await _suffered(world, long=long)


async def drips(world: World, *, long: bool) -> None:
    """Some answers drip, in time or far beyond the timeout."""
    world.receivers[0].answer = dripping(0.05, slow=0.3, endless=8.0)
    await _suffered(world, long=long)


async def _suffered(world: World, *, long: bool) -> None:
    with world.blow():
        await world.steady(1000 if long else 150)
        world.receivers[0].answer = accept


async def never_answers(world: World, *, long: bool) -> None:
    """One is silent: the other gets its rows as promptly as ever, and the silent one in the end."""
    silent_one, healthy = world.receivers
    over = asyncio.Event()
    silent_one.answer = silent(over)
    with world.blow():
        rows = await world.writers.until_committed(800 if long else 200)
        await healthy.until_accepted(rows)
        over.set()
    if (longest := world.longest_wait(rows, healthy)) > _PROMPT:
        world.remarks.append(f"a healthy receiver waited {longest:.2f} s, beside a silent one")
