"""Sweeping the fresh window for rows that nobody has taken: the truth, where all else is only speed.

It has a session to itself, since a look at a large window takes its time, and
new rows must not wait for it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

from pushd.claimer import Claimer
from pushd.inbox import Inbox
from pushd.pipeline import Pipeline
from pushd.postgres import Connection
from pushd.registry import Registration
from pushd.source import Position, Source
from pushd.stats import Stats
from pushd.track import Track

_EVERY = 5.0  # seconds
_EVERY_DEAF = 0.5  # seconds, while rows may come that nobody tells us of
_REST, _REST_DEAF = 20.0, 4.0  # times as long as a sweep took it rests, at the least


class Sweeper:
    """Sweeps for all lanes now and then, and for one that was full as soon as it has room."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        source: Source,
        registration: Registration,
        claimer: Claimer,
        pipeline: Pipeline,
        data_expiry: float,
        inbox: Inbox,
        stats: Stats,
        hears_all: Callable[[], bool],
    ) -> None:
        self._source = source
        self._registration = registration
        self._claimer = claimer
        self._pipeline = pipeline
        self._data_expiry = data_expiry
        self._inbox = inbox
        self._stats = stats
        self._hears_all = hears_all
        self._began = self._ended = float("-inf")  # the last sweep for all lanes
        self.moved = float("-inf")  # when the database last answered
        self.due = float("-inf")  # when there will be something to ask again

    @property
    def _tracks(self) -> list[Track]:
        return list(self._pipeline.tracks.values())

    async def run(self, connection: Connection) -> NoReturn:
        """Sweep whenever there is reason to, until the connection breaks."""
        loop = asyncio.get_running_loop()
        self._inbox.want_sweep()
        with self._claimer.doubted():
            while True:
                self.due = self._next()
                await self._inbox.wait_for_sweep(until=self.due)
                self.due = min(self.due, loop.time())
                wanted = self._inbox.take_sweep()
                if await self._claimer.recover(connection) or wanted or loop.time() >= self._next():
                    self._began = loop.time()
                    self._claimer.members = await self._registration.members(connection)
                    await self._sweep(connection, self._tracks, None)
                    self._ended = loop.time()
                for track in self._tracks:
                    if track.lane.wants_sweep:
                        await self._sweep(connection, [track], track.left_off)

    def _next(self) -> float:
        """When to sweep again without being asked."""
        every, rest = (_EVERY, _REST) if self._hears_all() else (_EVERY_DEAF, _REST_DEAF)
        return max(self._began + every, self._ended + rest * (self._ended - self._began))

    async def _sweep(self, connection: Connection, tracks: Sequence[Track], after: Position | None) -> None:
        """Claim all rows that are fresh and not taken, page by page and oldest first, as long as lanes have room."""
        self._stats.sweeps += 1
        position = after
        for track in tracks:
            track.lane.behind = track.lane.behind and track.lane.room < self._page(track)
        while sweeping := [track for track in tracks if self._has_room(track, position)]:
            size = min(map(self._page, sweeping))
            ids = [track.id for track in sweeping]
            page = await self._source.sweep(connection, ids, self._data_expiry, position, size)
            self.moved = asyncio.get_running_loop().time()
            mine = [id_ for id_ in page.ids if id_ in page.overdue or self._claimer.is_mine(id_)]
            self._stats.found_by_sweep += len(mine)
            await self._claimer.claim(connection, mine, sweeping, position)
            if len(page.ids) < size:
                return
            position = page.position

    def _has_room(self, track: Track, position: Position | None) -> bool:
        """Whether a sweep can go on for this track; if not, it falls behind here."""
        if track.lane.room < self._page(track):
            track.fall_behind(position)
        return not track.lane.behind and not track.dismissed

    def _page(self, track: Track) -> int:
        """How many rows a track takes at a time: never more than fit in when it is half empty."""
        return min(self._claimer.page, (track.lane.size + 1) // 2)
