"""Outcomes on their way into the ledger: they wait in memory, however long PostgreSQL is away."""

import asyncio
import itertools
import logging
import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NoReturn

import psycopg

from pushd.event import Delivery, Key, Settlement
from pushd.ledger import Ledger
from pushd.log import pairs
from pushd.postgres import Connection, brief

log = logging.getLogger(__name__)

HIGH_MARK = 20_000  # outcomes in memory; from there on nothing is claimed until half of them are written
_AT_ONCE = 1000  # outcomes in one statement
_GATHER = 0.02  # seconds between two statements


class Settler:
    """The buffer of outcomes, with two marks: at the high one `calm` is cleared, and set again at half of it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._outcomes: deque[Settlement] = deque()
        self._added = asyncio.Event()
        self.held: set[Key] = set()  # claims of this process without an outcome in the ledger
        self.calm = asyncio.Event()
        self.calm.set()
        self.moved = -math.inf  # when outcomes were last written

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def oldest(self) -> float | None:
        """When the outcome came that has waited for longest; None when none waits."""
        return self._outcomes[0].at if self._outcomes else None

    def hold(self, delivery: Delivery) -> None:
        """Remember a claim as ours until its outcome is written."""
        self.held.add(delivery.key)

    def undecided(self) -> set[Key]:
        """The claims that have no outcome yet; of the others the ledger itself tells whether they are still ours."""
        return self.held - {settlement.delivery.key for settlement in self._outcomes}

    def forget(self, keys: Iterable[Key]) -> None:
        """These claims are not ours any more."""
        self.held.difference_update(keys)

    def add(self, settlement: Settlement) -> None:
        """Take an outcome; never waits, never refuses."""
        self._outcomes.append(settlement)
        self._added.set()
        if len(self._outcomes) >= HIGH_MARK:
            self.calm.clear()

    async def settle(self, connection: Connection) -> NoReturn:
        """Write outcomes as they come, until the connection breaks: a lone one at once, many at a time together."""
        while True:
            await self.flush(connection)
            await asyncio.sleep(_GATHER)
            await self._added.wait()

    async def flush(self, connection: Connection) -> None:
        """Write all outcomes there are now; those that could not be written stay, and what comes meanwhile gathers."""
        self._added.clear()  # before the look: what comes after it sets it again
        left = len(self._outcomes)
        while left:
            some = list(itertools.islice(self._outcomes, min(left, _AT_ONCE)))
            left -= len(some)
            await self._settle(connection, some)
            self.moved = asyncio.get_running_loop().time()
            for settlement in some:
                self._outcomes.popleft()
                self.held.discard(settlement.delivery.key)
            if len(self._outcomes) <= HIGH_MARK // 2:
                self.calm.set()

    async def _settle(self, connection: Connection, some: Sequence[Settlement]) -> None:
        """Write these; one that the ledger refuses costs no other."""
        try:
            await self._ledger.settle(connection, some)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.CardinalityViolation) as error:
            if len(some) == 1:
                fields = pairs(id=some[0].delivery.row.id, outcome=some[0].outcome, error=brief(error))
                log.error("outcome cannot be recorded, the row may be pushed again %s", fields)  # noqa: TRY400 (a line)
                return
            middle = len(some) // 2
            await self._settle(connection, some[:middle])
            await self._settle(connection, some[middle:])
