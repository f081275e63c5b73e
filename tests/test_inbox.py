"""What waits to be claimed: nothing that comes in is forgotten, and memory stays bounded."""

import asyncio

from pushd.inbox import Inbox


async def test_what_comes_in_is_taken_once() -> None:
    """Ids gather until they are taken; so does the wish for a sweep."""
    inbox = Inbox()
    inbox.add(frozenset({1, 2}))
    inbox.want_sweep()
    inbox.add(frozenset({2, 3}))
    assert inbox.take_ids() == {1, 2, 3}
    assert inbox.take_ids() == set()
    assert inbox.take_sweep()
    assert not inbox.take_sweep()


async def test_flood_of_ids_becomes_a_sweep() -> None:
    """However much is heard, little is remembered."""
    inbox = Inbox()
    for start in range(0, 100_000, 100):
        inbox.add(frozenset(range(start, start + 100)))
    assert len(inbox.take_ids()) <= 10_000
    assert inbox.take_sweep()


async def test_waiting_ends_with_news_or_with_time() -> None:
    """A waiter is woken at once, and never waits past its moment; each waits for its own."""
    loop = asyncio.get_running_loop()
    inbox = Inbox()
    inbox.add(frozenset({1}))
    began = loop.time()
    await inbox.wait_for_sweep(until=began + 0.05)
    assert 0.04 <= loop.time() - began < 1
    assert inbox.take_ids() == {1}
    sweeping = asyncio.create_task(inbox.wait_for_sweep(until=began + 60))
    claiming = asyncio.create_task(inbox.wait_for_ids(until=began + 60))
    await asyncio.sleep(0)
    inbox.wake()
    async with asyncio.timeout(1):
        await sweeping
    assert not claiming.done()
    inbox.add(frozenset({2}))
    async with asyncio.timeout(1):
        await claiming
