"""Ours until a moment, unless there is nobody who could take it away."""

import asyncio

import pytest

from pushd.lease import LEASE, Lease


def test_lease_holds_for_less_than_the_others_wait() -> None:
    """Counted from before the question was asked."""
    lease = Lease()
    lease.renew(100.0)
    assert lease.holds(100.0 + LEASE - 1.1)
    assert not lease.holds(100.0 + LEASE - 1.0)


def test_without_a_database_it_holds() -> None:
    """What is in memory is pushed all the same."""
    lease = Lease()
    assert lease.holds(1e9)
    lease.renew(100.0)
    lease.suspend()
    assert lease.holds(1e9)


async def test_who_waits_goes_on_when_it_is_renewed() -> None:
    """And not before."""
    lease = Lease()
    now = asyncio.get_running_loop().time()
    lease.renew(now - LEASE)
    waiting = asyncio.create_task(lease.held())
    await asyncio.sleep(0)
    lease.renew(now - LEASE)  # an answer that came too late to be worth anything
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(waiting)
    lease.renew(now)
    async with asyncio.timeout(5):
        await waiting


async def test_who_claims_waits_for_a_lease_that_the_database_knows_of() -> None:
    """Without one, nobody would take over what is claimed if we died."""
    lease = Lease()
    now = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(lease.granted())
    await asyncio.sleep(0)
    lease.suspend()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(waiting)
    lease.renew(now)
    async with asyncio.timeout(5):
        await waiting
