"""What waits to be claimed: nothing that comes in is forgotten, and memory stays bounded."""

import asyncio

from pushd.inbox import Inbox


async def test_what_comes_in_is_taken_once() -> None:
    """Ids gather until they are taken."""
    inbox = Inbox()
    inbox.add(frozenset({1, 2}))
    inbox.add(frozenset({2, 3}))
    assert inbox.take() == ({1, 2, 3}, False)
    assert inbox.take() == (set(), False)


async def test_sweep_makes_single_ids_needless() -> None:
    """It finds them, too."""
    inbox = Inbox()
    inbox.add(frozenset({1}))
    inbox.want_sweep()
    assert inbox.take() == (set(), True)


async def test_flood_of_ids_becomes_a_sweep() -> None:
    """However much is heard, little is remembered."""
    inbox = Inbox()
    for start in range(0, 100_000, 100):
        inbox.add(frozenset(range(start, start + 100)))
    ids, sweep = inbox.take()
    assert sweep
    assert len(ids) <= 10_000


async def test_waiting_ends_with_news_or_with_time() -> None:
    """A waiter is woken at once, and never waits past its moment."""
    loop = asyncio.get_running_loop()
    inbox = Inbox()
    began = loop.time()
    await inbox.wait(until=began + 0.05)
    assert 0.04 <= loop.time() - began < 1
    waiter = asyncio.create_task(inbox.wait(until=began + 60))
    await asyncio.sleep(0)
    inbox.wake()
    async with asyncio.timeout(1):
        await waiter
