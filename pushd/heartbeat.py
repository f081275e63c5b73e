"""The heartbeat: it keeps our lease, finds out what we lost by being silent, and takes over from those who are."""

import asyncio
import contextlib
import logging
import math
from typing import NoReturn

from pushd.inbox import Inbox
from pushd.lease import LEASE, Lease
from pushd.ledger import Ledger
from pushd.log import pairs
from pushd.pipeline import Pipeline
from pushd.postgres import Connection, bounded
from pushd.registry import Registration
from pushd.settler import Settler

log = logging.getLogger(__name__)

_EVERY = 3.0  # seconds
_BOUND = 6.0  # seconds for an answer: a database that is frozen counts as away before our own lease runs out
_SOON = 0.05  # seconds after another one's lease has run out: by then, for certain, by the database's clock


class Heartbeat:
    """Has a session to itself, so that nothing that takes long can hold it up."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        registration: Registration,
        ledger: Ledger,
        lease: Lease,
        settler: Settler,
        pipeline: Pipeline,
        inbox: Inbox,
    ) -> None:
        self._registration = registration
        self._ledger = ledger
        self._lease = lease
        self._settler = settler
        self._pipeline = pipeline
        self._inbox = inbox
        self.moved = -math.inf  # when the database last took a beat
        self._leaving = asyncio.Event()  # set by `leave`: not to wait for the next beat
        self._left = asyncio.Event()  # set when the others can know it

    async def beat(self, connection: Connection) -> NoReturn:
        """Keep the lease until the connection breaks; NameTakenError when another process has our name."""
        loop = asyncio.get_running_loop()
        # After an outage of the database all leases have run out, and everybody needs a moment to come back.
        fair = loop.time() + LEASE
        try:
            while True:
                asked = loop.time()
                self._leaving.clear()  # before the look: set during it, there is another beat at once
                leaves = not self._registration.claims
                async with bounded(connection, _BOUND):
                    beat = await self._registration.beat(connection)
                if beat.lapsed:
                    await self._find_out_what_is_lost(connection)
                    fair = loop.time() + LEASE
                self._lease.renew(asked)
                self.moved = loop.time()
                if leaves:
                    self._left.set()
                if beat.next_lapse is not None and beat.next_lapse < 0 and loop.time() >= fair:
                    await self._take_over(connection)
                await self._pause(_next_beat(asked, beat.next_lapse, fair))
        finally:
            self._lease.suspend()

    async def leave(self, bound: float) -> None:
        """Say that we claim no more, so that the others need not leave anything to us; TimeoutError after `bound`."""
        self._registration.claims = False
        self._leaving.set()
        async with asyncio.timeout(bound):
            await self._left.wait()

    async def _pause(self, until: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._leaving.wait()

    async def _find_out_what_is_lost(self, connection: Connection) -> None:
        held = self._settler.undecided()
        lost = await self._ledger.lost(connection, held) if held else set()
        if lost:
            dropped = self._pipeline.forget(lost)
            log.warning("lease ran out, claims are not ours any more %s", pairs(claims=len(lost), dropped=dropped))

    async def _take_over(self, connection: Connection) -> None:
        given_up = await self._ledger.take_over(connection)
        if given_up.daemons:
            fields = pairs(daemons=given_up.daemons, expired=given_up.expired, released=given_up.released)
            log.warning("lease of another daemon ran out, its claims are free %s", fields)
            self._inbox.want_sweep()


def _next_beat(asked: float, next_lapse: float | None, fair: float) -> float:
    """When to beat again after that of `asked`: regularly, or just after another one's lease has run out."""
    regular = asked + _EVERY
    return regular if next_lapse is None else min(regular, max(asked + next_lapse, fair) + _SOON)
