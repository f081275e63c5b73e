"""How a row goes: heard of or found, claimed, queued, attempted, settled.

    inbox ── find ── claim + load ── fresh? ── lane ── push ── attempt ── outcome ── settle
                │                      └─ expired: settled by the claim itself
                └─ sweep: what was missed, or had no room

One task runs `find`, and one runs `push` for each pusher; outcomes go to the
`Settler`, which has a task of its own. None waits for another: what has no room
stays in the table, and a statement that failed leaves all as it was before.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NoReturn

from pushd.config import Endpoint, shown
from pushd.event import Delivery, Outcome, Settlement, envelope
from pushd.freshness import deadline, is_fresh
from pushd.inbox import Inbox
from pushd.lane import Job, Lane
from pushd.ledger import Ledger, Settler
from pushd.log import pairs
from pushd.postgres import Connection
from pushd.retry import Retry, decide, may_pass
from pushd.source import Position, Source
from pushd.stats import Stats
from pushd.webhook import Webhook

log = logging.getLogger(__name__)

PAGE = 200  # rows in one claim or one page of a sweep
_SWEEP_EVERY = 5.0  # seconds
_SWEEP_EVERY_DEAF = 0.5  # seconds, while rows may come that nobody tells us of


class Track:
    """An endpoint with its lane, its client, and where a sweep for it has to go on."""

    def __init__(self, endpoint_id: int, endpoint: Endpoint, webhook: Webhook) -> None:
        self.id = endpoint_id
        self.endpoint = endpoint
        self.webhook = webhook
        self.lane = Lane(endpoint.queue_size)
        self.left_off: Position | None = None  # where its lane was full; None: at the beginning
        self.filled = asyncio.Event()  # set when there may be a job to take

    def __repr__(self) -> str:
        return f"<Track {self.endpoint} {self.lane!r}>"

    def fall_behind(self, at: Position | None) -> None:
        """Leave rows in the table for now, from this position on; an earlier one, if there is one, stands."""
        if not self.lane.behind:
            self.lane.behind, self.left_off = True, at

    def state(self) -> dict[str, int | bool]:
        """What is under way now."""
        return {"queued": self.lane.queued, "busy": self.lane.busy, "behind": self.lane.behind}

    @property
    def page(self) -> int:
        """How many rows it takes at a time."""
        return min(PAGE, (self.endpoint.queue_size + 1) // 2)


class Pipeline:
    """The way of a row through one daemon."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        source: Source,
        ledger: Ledger,
        settler: Settler,
        tracks: Sequence[Track],
        data_expiry: float,
        inbox: Inbox,
        stats: Stats,
        hears_all: Callable[[], bool],
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._settler = settler
        self._tracks = {track.id: track for track in tracks}
        self._data_expiry = data_expiry
        self._inbox = inbox
        self._stats = stats
        self._hears_all = hears_all
        self._idle = asyncio.Event()  # cleared while any lane has a job
        self._idle.set()
        self._swept = -float("inf")  # when the last sweep of the whole window began

    # find -------------------------------------------------------------------

    async def find(self, connection: Connection) -> NoReturn:
        """Claim what is heard of and sweep for what is not, until the connection breaks."""
        expired, released = await self._ledger.recover(connection, self._settler.held)
        if expired or released:
            log.info("claims without an owner recovered %s", pairs(expired=expired, released=released))
        self._inbox.want_sweep()  # ids that were taken out of the inbox when a connection broke are not in it any more
        loop = asyncio.get_running_loop()
        while True:
            await self._inbox.wait(until=self._next_sweep)
            ids, sweep = self._inbox.take()
            for page in _pages(sorted(ids)):
                await self._claim(connection, page, self._with_room_for(len(page)))
            if sweep or loop.time() >= self._next_sweep:
                self._swept = loop.time()
                await self._sweep(connection, list(self._tracks.values()), None)
            for track in self._tracks.values():
                if track.lane.wants_sweep:
                    await self._sweep(connection, [track], track.left_off)

    @property
    def _next_sweep(self) -> float:
        return self._swept + (_SWEEP_EVERY if self._hears_all() else _SWEEP_EVERY_DEAF)

    def _with_room_for(self, count: int) -> list[Track]:
        """The tracks that can take so many rows now; the others fall behind, and what they left out is swept for."""
        able = []
        for track in self._tracks.values():
            if not track.lane.behind and track.lane.room >= count:
                able.append(track)
            else:
                track.fall_behind(None)
        return able

    async def _sweep(self, connection: Connection, tracks: Sequence[Track], after: Position | None) -> None:
        """Claim all rows that are fresh and not taken, page by page and oldest first, as long as lanes have room."""
        self._stats.sweeps += 1
        position = after or self._source.start
        sweeping = [track for track in tracks if track.lane.room >= track.page]
        for track in sweeping:
            track.lane.behind = False
        while sweeping:
            size = min(track.page for track in sweeping)
            ids = [track.id for track in sweeping]
            page = await self._source.sweep(connection, ids, self._data_expiry, position, size)
            self._stats.found_by_sweep += len(page.ids)
            await self._claim(connection, page.ids, sweeping)
            if len(page.ids) < size:
                return
            position = page.position
            for track in sweeping:
                if track.lane.room < track.page:
                    track.fall_behind(position)
            sweeping = [track for track in sweeping if not track.lane.behind]

    async def _claim(self, connection: Connection, ids: Collection[int], tracks: Collection[Track]) -> None:
        await self._settler.calm.wait()
        if not ids or not tracks:
            return
        endpoints = {track.id: track.endpoint.name for track in tracks}
        claimed = await self._source.claim(connection, ids, endpoints, self._ledger.daemon_id, self._data_expiry)
        for delivery in claimed.fresh:
            track = self._tracks[delivery.endpoint_id]
            self._stats.claimed(delivery)
            self._settler.hold(delivery)
            self._idle.clear()
            track.lane.put(delivery)
            track.filled.set()
        for delivery in claimed.expired:
            self._stats.claimed(delivery)
            self._count(Settlement(delivery, Outcome.EXPIRED, 0))

    # push -------------------------------------------------------------------

    async def push(self, track: Track) -> NoReturn:
        """One pusher: take a job, attempt it, again."""
        loop = asyncio.get_running_loop()
        while True:
            track.filled.clear()  # before the look: what comes after it sets it again
            job = track.lane.take(loop.time())
            if job is not None:
                await self._attempt(track, job)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(track.lane.next_due):
                    await track.filled.wait()

    async def _attempt(self, track: Track, job: Job) -> None:
        """Make one attempt of a job that is still fresh; afterwards it has an outcome, or waits for its next turn."""
        loop = asyncio.get_running_loop()
        delivery, now = job.delivery, loop.time()
        if not is_fresh(delivery, self._data_expiry, now):
            self._end(track, job, Outcome.FAILED if job.attempts else Outcome.EXPIRED)
            return
        attempt = await track.webhook.post(envelope(delivery.row, delivery.age(now)), delivery.webhook_id)
        tried = Job(delivery, job.attempts + 1, attempt)
        self._stats.attempted(delivery, attempt)
        decision = decide(
            attempt,
            tried.attempts,
            track.endpoint,
            now=loop.time(),
            deadline=deadline(delivery, self._data_expiry),
            chance=random.random,
        )
        if isinstance(decision, Retry):
            track.lane.retry(tried, decision.at)
            track.filled.set()  # a pusher that sleeps until a later retry must look again
            fields = pairs(id=delivery.row.id, endpoint=delivery.endpoint, attempt=tried.attempts, error=attempt)
            log.debug("attempt failed, will be retried %s", fields)
        else:
            self._end(track, tried, decision)

    def _end(self, track: Track, job: Job, outcome: Outcome) -> None:
        """Give a delivery its one outcome."""
        settlement = Settlement(job.delivery, outcome, job.attempts, job.last)
        track.lane.done(job)
        self._count(settlement)
        self._settler.add(settlement)
        if track.lane.wants_sweep:
            self._inbox.wake()
        if not any(len(each.lane) for each in self._tracks.values()):
            self._idle.set()

    def _count(self, settlement: Settlement) -> None:
        self._stats.settled(settlement, settlement.delivery.age(asyncio.get_running_loop().time()))
        _report(settlement, self._tracks[settlement.delivery.endpoint_id].endpoint)

    # stop -------------------------------------------------------------------

    async def drained(self) -> None:
        """Wait until every claimed delivery has an outcome."""
        await self._idle.wait()

    def abandon(self) -> list[Delivery]:
        """Hand over the claims that have no outcome, when nothing runs any more that could give them one."""
        left = [job.delivery for track in self._tracks.values() for job in track.lane.empty()]
        for delivery in left:
            self._stats.released(delivery)
        return left


def _report(settlement: Settlement, endpoint: Endpoint) -> None:
    """Write the specification's line of an outcome."""
    row, last = settlement.delivery.row, settlement.last
    match settlement.outcome:
        case Outcome.DELIVERED:
            took = f"{last.seconds * 1000:.1f}" if last else None
            fields = pairs(
                id=row.id, wallet_code=row.wallet_code, endpoint=endpoint.name, attempts=settlement.attempts, ms=took
            )
            log.info("OCR钱包数据推送成功 %s", fields)
        case Outcome.FAILED:
            fields = pairs(url=shown(endpoint.url), id=row.id, attempts=settlement.attempts, error=last)
            if last and not may_pass(last):
                log.warning("push failed, the answer is final %s", fields)
            elif settlement.attempts <= endpoint.max_retries:
                log.warning("push failed, stale before its next attempt %s", fields)
            else:
                log.warning("推送失败，已达最大重试次数 %s", fields)
        case Outcome.EXPIRED:
            log.debug("数据已过期，跳过推送 %s", pairs(id=row.id, create_time=row.create_time, endpoint=endpoint.name))


def _pages(items: Sequence[int]) -> Iterator[Sequence[int]]:
    return (items[start : start + PAGE] for start in range(0, len(items), PAGE))
