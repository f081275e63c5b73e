"""Claiming rows for every endpoint with room, as they are heard of, or seen while nobody rings.

What has no room stays in the table: its track falls behind, and is swept for
when its lane is half empty. Among several daemons each leaves a row to the one
that is preferred for it; what that one does not take, a sweep finds.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import psycopg

from pushd.doorbell import Doorbell
from pushd.inbox import Inbox
from pushd.lease import LEASE, Lease
from pushd.ledger import Ledger
from pushd.log import pairs
from pushd.pipeline import Pipeline
from pushd.postgres import Connection, probe
from pushd.rendezvous import preferred
from pushd.settler import Settler
from pushd.source import LOOK, Claimed, Position, Source
from pushd.tail import Tail
from pushd.track import Track

log = logging.getLogger(__name__)

_PAGE = 200  # rows in one claim, at the most
_LOOK_EVERY = 0.005  # seconds between two looks for new rows, while nobody rings
_PROBE_EVERY = 5.0  # seconds without a claim after which the session is asked whether it lives
_PROBE_BOUND = 3.0


class Claimer:
    """Takes rows, one claim at a time whoever asks for it, and knows which claims may be in nobody's hands."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        source: Source,
        ledger: Ledger,
        lease: Lease,
        settler: Settler,
        pipeline: Pipeline,
        doorbell: Doorbell,
        data_expiry: float,
        inbox: Inbox,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._lease = lease
        self._settler = settler
        self._pipeline = pipeline
        self._doorbell = doorbell
        self._data_expiry = data_expiry
        self._inbox = inbox
        self._claiming = asyncio.Lock()  # between the look at the room and what is put there
        self._doubt: _Doubt | None = None
        self.page = _PAGE  # rows in one claim; fewer after one that took too long
        self.moved = -math.inf  # when the database last answered, or there was nothing for us to ask
        self.members = frozenset({ledger.daemon_id})  # who claims rows; kept up to date by the sweeper

    async def run(self, connection: Connection) -> NoReturn:
        """Claim what is heard of, until the connection breaks."""
        loop = asyncio.get_running_loop()
        self._inbox.want_sweep()  # ids that were out of the inbox when a connection broke are in nobody's hands
        self.moved = loop.time()
        with self.doubted():
            while True:
                tail = self._doorbell.tail
                await self._inbox.wait_for_ids(until=loop.time() + (_LOOK_EVERY if tail else _PROBE_EVERY))
                ids = self._inbox.take_ids()
                if tail:
                    ids |= await self._look(connection, tail)
                mine = [id_ for id_ in sorted(ids) if self.is_mine(id_)]
                while mine:
                    page, mine = mine[: self.page], mine[self.page :]
                    await self.claim(connection, page, list(self._pipeline.tracks.values()))
                    self.moved = loop.time()
                if ids or tail:
                    self.moved = loop.time()
                elif loop.time() - self.moved >= _PROBE_EVERY:
                    await probe(connection, _PROBE_BOUND)
                    self.moved = loop.time()

    async def _look(self, connection: Connection, tail: Tail) -> set[int]:
        """Rows that nobody told us of: above the highest id, and in the gaps."""
        now = asyncio.get_running_loop().time()
        last = self._doorbell.granted
        ids = await self._source.look(connection, tail.highest, tail.all_gaps() if last else tail.gaps_due(now))
        tail.saw(ids, now)
        # A full look has not reached the end, and so it was not the last one.
        self._doorbell.looked(len(ids), now, last=last and len(ids) < LOOK)
        return set(ids)

    def is_mine(self, row_id: int) -> bool:
        return preferred(row_id, self.members) == self._ledger.daemon_id

    async def claim(
        self, connection: Connection, ids: Sequence[int], tracks: Collection[Track], position: Position | None = None
    ) -> None:
        """Claim rows for those tracks that can take them all; the others fall behind, from this position on.

        One that is behind takes none, however much room it has: older rows go first.
        """
        if not ids:
            return
        await self._settler.calm.wait()
        await self._lease.granted()
        async with self._claiming:
            able = {}
            for track in tracks:
                if track.dismissed:
                    continue
                if not track.lane.behind and track.lane.room >= len(ids):
                    able[track.id] = track.endpoint.name
                else:
                    track.fall_behind(position)
            if able:
                self._pipeline.accept(await self._claim_page(connection, ids, able))

    async def _claim_page(self, connection: Connection, ids: Sequence[int], able: dict[int, str]) -> Claimed:
        """Claim; if the answer does not come in time, rows may be too big for this many: try half as many next time."""
        try:
            claimed = await self._source.claim(connection, ids, able, self._ledger.daemon_id, self._data_expiry)
        except (TimeoutError, psycopg.errors.QueryCanceled):
            self.page = max(1, len(ids) // 2)
            raise
        self.page = min(_PAGE, max(self.page, 2 * len(ids)))
        return claimed

    # claims in nobody's hands ----------------------------------------------------

    @contextlib.contextmanager
    def doubted(self) -> Iterator[None]:
        """For as long as a session claims: when it breaks, a claim may be in our name whose answer was lost with it.

        The old session may be at it even when there is a new one, but for no longer than a lease.
        """
        self._trust()
        try:
            yield
        finally:
            self._distrust()

    def _trust(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._doubt is None:
            # The start: a process that had our name may claim in it until its next heartbeat tells it.
            self._doubt = _Doubt(now, until=now + LEASE, looked=True)
        elif self._doubt.until == math.inf:
            self._doubt = _Doubt(self._doubt.since, until=now + LEASE)

    def _distrust(self) -> None:
        since = asyncio.get_running_loop().time() if self._doubt is None else self._doubt.since
        self._doubt = _Doubt(since, until=math.inf)

    async def recover(self, connection: Connection) -> bool:
        """Give such claims up, so that they can be found; whether there were any."""
        doubt, now = self._doubt, asyncio.get_running_loop().time()
        if doubt is None or (doubt.looked and now < doubt.until):
            return False
        async with self._claiming:
            given_up = await self._ledger.recover(connection, self._settler.held, now - doubt.since)
        if self._doubt is doubt:
            doubt.looked = True
            self._doubt = None if now >= doubt.until else doubt
        if given_up.expired or given_up.released:
            fields = pairs(expired=given_up.expired, released=given_up.released)
            log.info("claims without an owner recovered %s", fields)
        return bool(given_up.released)


@dataclass(slots=True)
class _Doubt:
    """Claims may be in nobody's hands: since when, until when there may be new ones, and whether we have looked."""

    since: float
    until: float
    looked: bool = False
