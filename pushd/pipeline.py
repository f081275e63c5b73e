"""How a row goes: claimed, queued, attempted, settled.

    inbox ── claimer ── claim + load ── accept ── lane ── push ── attempt ── outcome ── settler
                │                          └─ expired: settled by the claim itself
                └─ sweeper: what was missed, or had no room

Nobody here waits for anybody else: each pusher has a task, and outcomes wait in
the `Settler`, which has one too.
"""

import asyncio
import logging
import random
from collections.abc import Collection, Sequence
from typing import NoReturn

from pushd.config import Endpoint, shown
from pushd.event import Delivery, Key, Outcome, Settlement, envelope
from pushd.freshness import deadline, is_fresh
from pushd.inbox import Inbox
from pushd.lane import Job, Lane
from pushd.lease import Lease
from pushd.log import pairs
from pushd.retry import Retry, decide, may_pass
from pushd.settler import Settler
from pushd.source import Claimed, Position
from pushd.stats import Stats
from pushd.webhook import Webhook

log = logging.getLogger(__name__)


class Track:
    """An endpoint with its lane, its client, and where a sweep for it has to go on."""

    def __init__(self, endpoint_id: int, endpoint: Endpoint, webhook: Webhook) -> None:
        self.id = endpoint_id
        self.endpoint = endpoint
        self.webhook = webhook
        self.lane = Lane(endpoint.queue_size)
        self.left_off: Position | None = None  # where its lane was full; None: at the beginning
        self._jobs = asyncio.Semaphore(0)  # one for each that may be taken; one too many costs a look, no more

    def __repr__(self) -> str:
        return f"<Track {self.endpoint} {self.lane!r}>"

    def put(self, delivery: Delivery, now: float) -> None:
        """Queue a claimed delivery."""
        self.lane.put(delivery, now)
        self._jobs.release()

    def retry(self, job: Job, at: float) -> None:
        """Queue a job again, until `at`."""
        self.lane.retry(job, at)
        asyncio.get_running_loop().call_at(at, self._retry_is_due, at)

    def _retry_is_due(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < at:  # timers are as exact as a millisecond
            loop.call_later(0.001, self._retry_is_due, at)
        else:
            self._jobs.release()

    async def has_job(self) -> None:
        """Wait until there may be a job to take; each wakes one pusher alone, so that it can begin at once."""
        await self._jobs.acquire()

    def fall_behind(self, at: Position | None) -> None:
        """Leave rows in the table for now, from this position on; an earlier one, if there is one, stands."""
        if not self.lane.behind:
            self.lane.behind, self.left_off = True, at

    def state(self) -> dict[str, int | bool]:
        """What is under way now."""
        return {"queued": self.lane.queued, "busy": self.lane.busy, "behind": self.lane.behind}


class Pipeline:
    """The way of a delivery from its claim to its outcome."""

    def __init__(  # noqa: PLR0913 (the composition root hands over each part by name)
        self,
        *,
        tracks: Sequence[Track],
        data_expiry: float,
        lease: Lease,
        settler: Settler,
        inbox: Inbox,
        stats: Stats,
    ) -> None:
        self.tracks = {track.id: track for track in tracks}
        self._data_expiry = data_expiry
        self._lease = lease
        self._settler = settler
        self._inbox = inbox
        self._stats = stats
        self._idle = asyncio.Event()  # cleared while any lane has a job
        self._idle.set()

    def accept(self, claimed: Claimed) -> None:
        """Take over what has been claimed; never waits."""
        now = asyncio.get_running_loop().time()
        for delivery in claimed.fresh:
            track = self.tracks[delivery.endpoint_id]
            if delivery.key in self._settler.held or delivery.key in track.lane:
                # Ours already: a crash of the server forgot the claim, but we did not; or it was lost to
                # another daemon during an attempt, and is won back before that has come to its end.
                self._settler.hold(delivery)
                continue
            self._settler.hold(delivery)
            self._stats.claimed(delivery)
            self._idle.clear()
            track.put(delivery, now)
        for delivery in claimed.expired:
            self._stats.claimed(delivery)
            self._count(Settlement(delivery, Outcome.EXPIRED, 0, at=now))

    async def push(self, track: Track) -> NoReturn:
        """One pusher: take a job that is still ours, attempt it, again."""
        loop = asyncio.get_running_loop()
        while True:
            await track.has_job()
            await self._lease.held()
            job = track.lane.take(loop.time())
            if job is not None:
                await self._attempt(track, job)

    async def _attempt(self, track: Track, job: Job) -> None:
        """Make one attempt of a job that is still fresh; afterwards it has an outcome, or waits for its next turn."""
        loop = asyncio.get_running_loop()
        delivery, now = job.delivery, loop.time()
        if not is_fresh(delivery, self._data_expiry, now):
            self._end(track, job, Outcome.FAILED if job.attempts else Outcome.EXPIRED, now)
            return
        attempt = await track.webhook.post(envelope(delivery.row, delivery.age(now)), delivery.webhook_id)
        tried = Job(delivery, job.attempts + 1, attempt)
        now = loop.time()
        self._stats.attempted(delivery, attempt, now)
        decision = decide(
            attempt,
            tried.attempts,
            track.endpoint,
            now=now,
            deadline=deadline(delivery, self._data_expiry),
            chance=random.random,
        )
        if isinstance(decision, Retry):
            track.retry(tried, decision.at)
            fields = pairs(id=delivery.row.id, endpoint=delivery.endpoint, attempt=tried.attempts, error=attempt)
            log.debug("attempt failed, will be retried %s", fields)
        else:
            self._end(track, tried, decision, now)

    def _end(self, track: Track, job: Job, outcome: Outcome, now: float) -> None:
        """Give a delivery its one outcome."""
        settlement = Settlement(job.delivery, outcome, job.attempts, job.last, now)
        track.lane.done(job)
        self._count(settlement)
        self._settler.add(settlement)
        if track.lane.wants_sweep:
            self._inbox.wake()
        self._look_whether_idle()

    def _count(self, settlement: Settlement) -> None:
        self._stats.settled(settlement)
        _report(settlement, self.tracks[settlement.delivery.endpoint_id].endpoint)

    async def drained(self) -> None:
        """Wait until every claimed delivery has an outcome."""
        await self._idle.wait()

    def forget(self, keys: Collection[Key]) -> int:
        """Let go of deliveries that are not ours any more, but for those under way; answers how many there were."""
        gone = [job.delivery for track in self.tracks.values() for job in track.lane.remove(keys)]
        for delivery in gone:
            self._stats.released(delivery)
        self._settler.forget(keys)
        self._look_whether_idle()
        return len(gone)

    def _look_whether_idle(self) -> None:
        if not any(len(each.lane) for each in self.tracks.values()):
            self._idle.set()

    def abandon(self) -> int:
        """Forget the deliveries that have no outcome, when nothing runs any more; answers how many there were."""
        left = [job.delivery for track in self.tracks.values() for job in track.lane.empty()]
        for delivery in left:
            self._stats.released(delivery)
        return len(left)


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
