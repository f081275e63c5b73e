"""What has to be done now and then: rows that nobody took get an outcome, old deliveries go, the trigger is there."""

import asyncio
import logging
import math
from typing import NoReturn

from pushd import table
from pushd.ledger import LEAST_KEPT, prune
from pushd.pipeline import Pipeline
from pushd.postgres import Connection
from pushd.source import Position, Source
from pushd.stats import Stats

log = logging.getLogger(__name__)

LOOK_BACK = 86_400.0  # seconds: nobody's rows that ceased to be fresh longer ago stay without an outcome
_EVERY = 5.0  # seconds
_LATE = 60.0  # seconds for which what has ceased to be fresh is looked at again: commits come late
_PRUNE_EVERY = 60.0
_PAGE = 500  # rows in one statement
_BATCH = 2000  # deliveries in one delete: some 20 ms
_REST = 4  # times as long as a statement took, it rests: the writers' disks come first


class Housekeeper:
    """Has a session to itself; nothing waits for it."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        source: Source,
        source_table: str,
        daemon_id: int,
        pipeline: Pipeline,
        stats: Stats,
        data_expiry: float,
        retention: float,
        silent: float,
    ) -> None:
        self._source = source
        self._source_table = source_table
        self._daemon_id = daemon_id
        self._pipeline = pipeline
        self._stats = stats
        self._data_expiry = data_expiry
        self._retention = retention
        self._silent = silent  # seconds before the start for which no daemon was alive
        self._accounted = -math.inf  # when the last look at all stale rows began
        self._pruned = -math.inf
        self.trigger_fault: str | None = None  # as of the last look
        self.rows_fault: str | None = None

    async def keep(self, connection: Connection) -> NoReturn:
        """Go round and round until the connection breaks."""
        loop = asyncio.get_running_loop()
        if self._accounted == -math.inf:
            self._accounted = loop.time() - self._silent
        while True:
            began = loop.time()
            await self._look_at_the_table(connection)
            await self._account(connection)
            if loop.time() >= self._pruned + _PRUNE_EVERY:
                await self._prune(connection)
            await asyncio.sleep(max(0.0, began + _EVERY - loop.time()))

    async def _look_at_the_table(self, connection: Connection) -> None:
        found = await table.condition(connection, self._source, self._source_table)
        if found.trigger and not self.trigger_fault:
            log.error("%s", found.trigger)
        elif self.trigger_fault and not found.trigger:
            log.info("the trigger is as it should be again")
        self.trigger_fault = str(found.trigger) if found.trigger else None
        if found.rows and not self.rows_fault:
            log.error("%s", found.rows)
        elif self.rows_fault and not found.rows:
            log.info("rows can be seen again")
        self.rows_fault = str(found.rows) if found.rows else None

    async def _account(self, connection: Connection) -> None:
        """Record as expired what ceased to be fresh and nobody has taken: no daemon ran, or no lane had room."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # What is pruned must not be found again.
        kept = max(self._retention, self._data_expiry + LEAST_KEPT)
        look_back = min(self._data_expiry + min(began - self._accounted + _LATE, LOOK_BACK), kept)
        endpoints = {track.id: track.endpoint.name for track in self._pipeline.tracks.values()}
        position: Position | None = None
        while True:
            asked = loop.time()
            page = await self._source.sweep(
                connection, endpoints, self._data_expiry, position, _PAGE, look_back=look_back
            )
            if page.ids:
                self._pipeline.accept(
                    await self._source.claim(connection, page.ids, endpoints, self._daemon_id, self._data_expiry)
                )
            if len(page.ids) < _PAGE:
                break
            position = page.position
            await asyncio.sleep(loop.time() - asked)
        self._accounted = began

    async def _prune(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._pruned = loop.time()
        after = "-infinity"
        while True:
            asked = loop.time()
            deleted, after = await prune(connection, self._retention, _BATCH, after)
            self._stats.pruned += deleted
            if deleted < _BATCH:
                return
            await asyncio.sleep(_REST * (loop.time() - asked))
