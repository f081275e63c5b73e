"""An endpoint's deliveries in memory: bounded, in order, retries waiting aside. No I/O, no clock."""

import heapq
import itertools
from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from pushd.event import Attempt, Delivery, Key


class Job(NamedTuple):
    """A delivery with what has been tried of it: the number of attempts, and the last one."""

    delivery: Delivery
    attempts: int = 0
    last: Attempt | None = None


class Lane:
    """Deliveries that wait (new ones in order, retries until they are due) or are in a pusher's hand.

    Full, it marks itself behind: rows are left in the table. Half empty again,
    it wants them looked for.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.behind = False  # set when a claim passed this lane by, cleared when a sweep begins to catch up
        self._new: deque[Job] = deque()
        self._retries: list[tuple[float, int, Job]] = []  # a heap by due time; the number keeps equal times in order
        self._numbers = itertools.count()
        self._taken: dict[Key, tuple[float, Job]] = {}  # since when, the longest first
        self._keys: set[Key] = set()  # of all there is, wherever it is
        self._called = 0.0  # when somebody last came for a job, or the first one was put there for him

    def __repr__(self) -> str:
        behind = ", behind" if self.behind else ""
        return f"<Lane new={len(self._new)} retries={len(self._retries)} taken={len(self._taken)}/{self.size}{behind}>"

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    @property
    def room(self) -> int:
        return self.size - len(self)

    @property
    def queued(self) -> int:
        return len(self._new) + len(self._retries)

    @property
    def busy(self) -> int:
        return len(self._taken)

    @property
    def wants_sweep(self) -> bool:
        """Whether rows were left in the table for it, and it has room for half a lane of them."""
        return self.behind and len(self) * 2 <= self.size

    @property
    def next_due(self) -> float | None:
        """When the next retry may be taken; None when none waits."""
        return self._retries[0][0] if self._retries else None

    @property
    def retries(self) -> int:
        return len(self._retries)

    @property
    def busy_since(self) -> float | None:
        """Since when the job has been in somebody's hand that has been there for longest."""
        return next((since for since, _ in self._taken.values()), None)

    def uncalled_since(self, now: float) -> float | None:
        """Since when there has been a job to take, and nobody came for it; None when there is none."""
        if self._new:
            return self._called
        due = self.next_due
        return max(due, self._called) if due is not None and due <= now else None

    def oldest(self) -> float | None:
        """When the oldest row was born that waits here; None when none does."""
        first = [self._new[0].delivery.born] if self._new else []
        return min([*first, *(job.delivery.born for _, _, job in self._retries)], default=None)

    def put(self, delivery: Delivery, now: float) -> None:
        """Add a claimed delivery; never refuses, so who claims looks at `room` first."""
        if not self._new:
            self._called = now
        self._new.append(Job(delivery))
        self._keys.add(delivery.key)

    def take(self, now: float) -> Job | None:
        """Hand out the next job: a retry that is due, else the oldest new one; None when there is neither."""
        self._called = now
        if self._retries and self._retries[0][0] <= now:
            _, _, job = heapq.heappop(self._retries)
        elif self._new:
            job = self._new.popleft()
        else:
            return None
        self._taken[job.delivery.key] = now, job
        return job

    def retry(self, job: Job, at: float) -> None:
        """Take a job back until `at`; `job` carries what has been tried by now."""
        del self._taken[job.delivery.key]
        heapq.heappush(self._retries, (at, next(self._numbers), job))

    def done(self, job: Job) -> None:
        """Forget a job that has its outcome."""
        key = job.delivery.key
        del self._taken[key]
        self._keys.remove(key)

    def remove(self, keys: Collection[Key]) -> list[Job]:
        """Hand over those of these jobs that are in nobody's hand; the others stay."""
        waiting = [job for _, _, job in self._retries] + list(self._new)
        self._retries = [retry for retry in self._retries if retry[2].delivery.key not in keys]
        heapq.heapify(self._retries)
        self._new = deque(job for job in self._new if job.delivery.key not in keys)
        gone = [job for job in waiting if job.delivery.key in keys]
        self._keys.difference_update(job.delivery.key for job in gone)
        return gone

    def clear(self) -> list[Job]:
        """Hand over all that wait; those in somebody's hand stay."""
        return self.remove(frozenset(self._keys))

    def empty(self) -> list[Job]:
        """Hand over all that is left, whoever has it, for release."""
        left = [*(job for _, job in self._taken.values()), *(job for _, _, job in sorted(self._retries)), *self._new]
        self._taken.clear()
        self._retries.clear()
        self._new.clear()
        self._keys.clear()
        return left
