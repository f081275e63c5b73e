"""Finding work: rows that were heard of, and rows that a sweep finds, claimed for every endpoint with room.

What has no room stays in the table: its track falls behind, and is swept for
when its lane is half empty. A statement that fails leaves all as it was, and
after every new connection the whole window is swept.

Among several daemons each leaves a young row to the one that is preferred for
it; an older one, which that one did not take, goes to whoever finds it.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NoReturn

from pushd.inbox import Inbox
from pushd.lease import LEASE, Lease
from pushd.ledger import Ledger
from pushd.log import pairs
from pushd.pipeline import Pipeline, Track
from pushd.postgres import Connection
from pushd.registry import Registration
from pushd.rendezvous import preferred
from pushd.settler import Settler
from pushd.source import Position, Source
from pushd.stats import Stats

log = logging.getLogger(__name__)

PAGE = 200  # rows in one claim or one page of a sweep, at the most
_SWEEP_EVERY = 5.0  # seconds
_SWEEP_EVERY_DEAF = 0.5  # seconds, while rows may come that nobody tells us of


class Finder:
    """Keeps the lanes filled; has the claiming session to itself."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        source: Source,
        registration: Registration,
        ledger: Ledger,
        lease: Lease,
        settler: Settler,
        pipeline: Pipeline,
        data_expiry: float,
        inbox: Inbox,
        stats: Stats,
        hears_all: Callable[[], bool],
    ) -> None:
        self._source = source
        self._registration = registration
        self._ledger = ledger
        self._lease = lease
        self._settler = settler
        self._pipeline = pipeline
        self._tracks = tuple(pipeline.tracks.values())
        self._data_expiry = data_expiry
        self._inbox = inbox
        self._stats = stats
        self._hears_all = hears_all
        self._members = frozenset({registration.daemon_id})  # who claims rows, as of the last sweep
        self._swept = -math.inf  # when the last sweep of the whole window began
        self._sound = math.inf  # when all claims in our name were last known to be held; inf: not yet

    async def find(self, connection: Connection) -> NoReturn:
        """Claim what is heard of and sweep for what is not, until the connection breaks."""
        loop = asyncio.get_running_loop()
        # A claim whose answer was lost with the old connection is in our name, and nobody works on it. The old
        # session may even now be at it, but no longer than a lease: so look now, and once again after that.
        await self._recover(connection)
        again = loop.time() + LEASE
        self._inbox.want_sweep()  # ids that were out of the inbox when a connection broke are in nobody's hands
        while True:
            await self._inbox.wait(until=self._next_sweep)
            ids, sweep = self._inbox.take()
            for page in _pages([id_ for id_ in sorted(ids) if self._is_mine(id_)]):
                await self._claim(connection, page, self._with_room_for(len(page)))
            if sweep or loop.time() >= self._next_sweep:
                self._swept = loop.time()
                self._members = await self._registration.members(connection)
                await self._sweep(connection, self._tracks, None)
            for track in self._tracks:
                if track.lane.wants_sweep:
                    await self._sweep(connection, [track], track.left_off)
            if loop.time() >= again:
                await self._recover(connection)
                again = math.inf
            if again == math.inf:
                self._sound = loop.time()

    async def _recover(self, connection: Connection) -> None:
        silent = max(0.0, asyncio.get_running_loop().time() - self._sound)
        given_up = await self._ledger.recover(connection, self._settler.held, silent)
        if given_up.expired or given_up.released:
            fields = pairs(expired=given_up.expired, released=given_up.released)
            log.info("claims without an owner recovered %s", fields)
            self._inbox.want_sweep()

    def _is_mine(self, row_id: int) -> bool:
        return preferred(row_id, self._members) == self._registration.daemon_id

    @property
    def _next_sweep(self) -> float:
        return self._swept + (_SWEEP_EVERY if self._hears_all() else _SWEEP_EVERY_DEAF)

    def _with_room_for(self, count: int) -> list[Track]:
        """The tracks that can take so many rows now; the others fall behind.

        One that is behind takes none, however much room it has: older rows go first.
        """
        able = [track for track in self._tracks if not track.lane.behind and track.lane.room >= count]
        for track in self._tracks:
            if track not in able:
                track.fall_behind(None)
        return able

    async def _sweep(self, connection: Connection, tracks: Sequence[Track], after: Position | None) -> None:
        """Claim all rows that are fresh and not taken, page by page and oldest first, as long as lanes have room."""
        self._stats.sweeps += 1
        position = after
        for track in tracks:
            track.lane.behind = track.lane.behind and track.lane.room < _page(track)
        while sweeping := [track for track in tracks if self._has_room(track, position)]:
            size = min(map(_page, sweeping))
            ids = [track.id for track in sweeping]
            page = await self._source.sweep(connection, ids, self._data_expiry, position, size)
            mine = [id_ for id_ in page.ids if id_ in page.overdue or self._is_mine(id_)]
            self._stats.found_by_sweep += len(mine)
            await self._claim(connection, mine, sweeping)
            if len(page.ids) < size:
                return
            position = page.position

    def _has_room(self, track: Track, position: Position | None) -> bool:
        """Whether a sweep can go on for this track; if not, it falls behind here."""
        if track.lane.room < _page(track):
            track.fall_behind(position)
        return not track.lane.behind

    async def _claim(self, connection: Connection, ids: Collection[int], tracks: Collection[Track]) -> None:
        await self._settler.calm.wait()
        await self._lease.held()
        if not ids or not tracks:
            return
        endpoints = {track.id: track.endpoint.name for track in tracks}
        claimed = await self._source.claim(connection, ids, endpoints, self._registration.daemon_id, self._data_expiry)
        self._pipeline.accept(claimed)


def _page(track: Track) -> int:
    """How many rows a track takes at a time: never more than fit in when it is half empty."""
    return min(PAGE, (track.lane.size + 1) // 2)


def _pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))
