"""One endpoint while it is pushed to: its policy, its lane, its client, and the jobs that its pushers wait for."""

import asyncio

from pushd.config import Endpoint
from pushd.event import Delivery
from pushd.lane import Job, Lane
from pushd.source import Position
from pushd.webhook import Webhook


class Track:
    """An endpoint with its lane, its client, and where a sweep for it has to go on."""

    def __init__(self, endpoint_id: int, endpoint: Endpoint, webhook: Webhook) -> None:
        self.id = endpoint_id
        self.endpoint = endpoint
        self.webhook = webhook
        self.lane = Lane(endpoint.queue_size)
        self.pushers = endpoint.concurrent_pushers  # how many there ought to be
        self.left_off: Position | None = None  # where its lane was full; None: at the beginning
        self._jobs = asyncio.Semaphore(0)  # one for each that may be taken; one too many costs a look, no more

    def __repr__(self) -> str:
        return f"<Track {self.endpoint} {self.lane!r}>"

    @property
    def dismissed(self) -> bool:
        """Whether nothing is to be pushed to it any more."""
        return not self.pushers

    def change(self, endpoint: Endpoint, webhook: Webhook) -> None:
        """Go on by another policy, from the next attempt on."""
        self.endpoint, self.webhook = endpoint, webhook
        self.lane.size = endpoint.queue_size
        self.man(endpoint.concurrent_pushers)

    def man(self, pushers: int) -> None:
        """Have so many pushers; those that are too many go when they have nothing under way."""
        for _ in range(self.pushers):
            self._jobs.release()  # to be seen by those that sleep
        self.pushers = pushers

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

    def pass_on(self) -> None:
        """Leave to another pusher what `has_job` has told."""
        self._jobs.release()

    def fall_behind(self, at: Position | None) -> None:
        """Leave rows in the table for now, from this position on; an earlier one, if there is one, stands."""
        if not self.lane.behind:
            self.lane.behind, self.left_off = True, at

    def state(self) -> dict[str, int | bool]:
        """What is under way now."""
        return {"queued": self.lane.queued, "busy": self.lane.busy, "behind": self.lane.behind}
