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
from collections.abc import Callable, Collection

from pushd.config import Endpoint, shown
from pushd.event import Attempt, Key, Outcome, Settlement, envelope
from pushd.freshness import deadline, is_fresh
from pushd.inbox import Inbox
from pushd.lane import Job
from pushd.lease import Lease
from pushd.log import pairs
from pushd.retry import Retry, decide, may_pass
from pushd.settler import Settler
from pushd.source import Claimed
from pushd.stats import Stats
from pushd.track import Track

log = logging.getLogger(__name__)

_DISMISSED = Attempt(None, "the endpoint was taken out of the configuration", 0.0)


class Pipeline:
    """The way of a delivery from its claim to its outcome."""

    def __init__(
        self,
        *,
        data_expiry: float,
        lease: Lease,
        settler: Settler,
        inbox: Inbox,
        stats: Stats,
    ) -> None:
        self.tracks: dict[int, Track] = {}  # by the endpoint's id; they come and go with the configuration
        self.leaving: list[Track] = []  # those that are gone from it, with an attempt under way
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
            track = self.tracks.get(delivery.endpoint_id)
            if track is None:  # dismissed while the claim was under way
                self._settler.hold(delivery)
                self._stats.claimed(delivery)
                self._settle(Settlement(delivery, Outcome.FILTERED, 0, _DISMISSED, now))
                continue
            key = delivery.key
            if key in self._settler.held or key in track.lane:
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

    def welcome(self, track: Track) -> None:
        """Push to this endpoint from now on, what it is owed already included."""
        self.tracks[track.id] = track
        self._inbox.want_sweep()

    def dismiss(self, track: Track) -> int:
        """Push nothing to this endpoint any more; what waits ends now, what is under way ends with its attempt."""
        del self.tracks[track.id]
        track.man(0)
        now = asyncio.get_running_loop().time()
        waiting = track.lane.clear()
        for job in waiting:
            if job.attempts:
                self._settle(Settlement(job.delivery, Outcome.FAILED, job.attempts, job.last, now), track.endpoint)
            else:
                self._settle(Settlement(job.delivery, Outcome.FILTERED, 0, _DISMISSED, now))
        if track.lane:
            self.leaving.append(track)
        self._look_whether_idle()
        return len(waiting)

    async def push(self, track: Track, number: int) -> None:
        """Pusher number so-and-so: take a job that is still ours, attempt it, again, for as long as it is wanted."""
        loop = asyncio.get_running_loop()
        while number < track.pushers:
            await track.has_job()
            await self._lease.held()
            if number >= track.pushers:
                track.pass_on()
                return
            job = track.lane.take(loop.time())
            if job is not None:
                await self._attempt(track, job, loop.time)

    async def _attempt(self, track: Track, job: Job, clock: Callable[[], float]) -> None:
        """Make one attempt of a job that is still fresh; afterwards it has an outcome, or waits for its next turn."""
        delivery, now = job.delivery, clock()
        if not is_fresh(delivery, self._data_expiry, now):
            self._end(track, job, Outcome.FAILED if job.attempts else Outcome.EXPIRED, now)
            return
        attempt = await track.webhook.post(envelope(delivery.row, delivery.age(now)), delivery.webhook_id)
        tried = Job(delivery, job.attempts + 1, attempt)
        now = clock()
        self._stats.attempted(delivery, attempt, now)
        decision = decide(
            attempt,
            tried.attempts,
            track.endpoint,
            now=now,
            deadline=deadline(delivery, self._data_expiry),
            chance=random.random,
        )
        if isinstance(decision, Retry) and track.dismissed:
            self._end(track, tried, Outcome.FAILED, now)
        elif isinstance(decision, Retry):
            track.retry(tried, decision.at)
            fields = pairs(id=delivery.row.id, endpoint=delivery.endpoint, attempt=tried.attempts, error=attempt)
            log.debug("attempt failed, will be retried %s", fields)
        else:
            self._end(track, tried, decision, now)

    def _end(self, track: Track, job: Job, outcome: Outcome, now: float) -> None:
        """Give a delivery its one outcome."""
        track.lane.done(job)
        self._settle(Settlement(job.delivery, outcome, job.attempts, job.last, now), track.endpoint)
        if track.lane.wants_sweep:
            self._inbox.wake()
        if not track.lane:
            if track in self.leaving:
                self.leaving.remove(track)
            self._look_whether_idle()

    def _settle(self, settlement: Settlement, endpoint: Endpoint | None = None) -> None:
        self._count(settlement, endpoint)
        self._settler.add(settlement)

    def _count(self, settlement: Settlement, endpoint: Endpoint | None = None) -> None:
        self._stats.settled(settlement)
        _report(settlement, endpoint)

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
        if not any(each.lane for each in (*self.tracks.values(), *self.leaving)):
            self._idle.set()

    def abandon(self) -> int:
        """Forget the deliveries that have no outcome, when nothing runs any more; answers how many there were."""
        left = [job.delivery for track in (*self.tracks.values(), *self.leaving) for job in track.lane.empty()]
        for delivery in left:
            self._stats.released(delivery)
        return len(left)


def _report(settlement: Settlement, endpoint: Endpoint | None) -> None:
    """Write the specification's line of an outcome; that of a failure tells of the endpoint's policy, too."""
    delivery, last = settlement.delivery, settlement.last
    row, name = delivery.row, delivery.endpoint
    match settlement.outcome:
        case Outcome.DELIVERED:
            took = f"{last.seconds * 1000:.1f}" if last else None
            fields = pairs(id=row.id, wallet_code=row.wallet_code, endpoint=name, attempts=settlement.attempts, ms=took)
            log.info("OCR钱包数据推送成功 %s", fields)
        case Outcome.FAILED:
            url = shown(endpoint.url) if endpoint else name
            fields = pairs(url=url, id=row.id, attempts=settlement.attempts, error=last)
            if last and not may_pass(last):
                log.warning("push failed, the answer is final %s", fields)
            elif endpoint and settlement.attempts <= endpoint.max_retries:
                log.warning("push failed, stale before its next attempt %s", fields)
            else:
                log.warning("推送失败，已达最大重试次数 %s", fields)
        case Outcome.EXPIRED:
            log.debug("数据已过期，跳过推送 %s", pairs(id=row.id, create_time=row.create_time, endpoint=name))
        case Outcome.FILTERED:
            log.debug("not pushed, its endpoint is gone %s", pairs(id=row.id, endpoint=name))
