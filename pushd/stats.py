"""What has happened since the start, as counters and a snapshot of them.

Everything that is told of the past comes from here: the statistics, the
metrics, the page. Counting is on every delivery's way, and so it is done in
plain integers.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pushd.course import Course
from pushd.event import Attempt, Delivery, Outcome, Settlement, time_at
from pushd.histogram import Histogram
from pushd.recent import Recent
from pushd.results import ACCEPTED, RESULTS, result

# Seconds. The same in every daemon whatever its configuration, or they could not be added up.
_RESPONSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_AGES = (
    *(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0, 86_400.0),
)


@dataclass(slots=True)
class EndpointStats:
    """Counters of one endpoint; `response_seconds` sums over its successful attempts only."""

    claimed: int = 0
    released: int = 0
    outcomes: list[int] = field(default_factory=lambda: [0] * (max(Outcome) + 1))  # by the outcome's number
    results: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESULTS, 0))
    responses: Histogram = field(default_factory=lambda: Histogram(_RESPONSES))  # seconds of every attempt
    ages: Histogram = field(default_factory=lambda: Histogram(_AGES))  # seconds from create_time to the answer
    course: Course = field(default_factory=Course)
    response_seconds: float = 0.0
    last_error: str | None = None
    failures: int = 0  # attempts that failed since one was accepted
    failing_since: float | None = None  # when the first of them ended, on the monotonic clock

    def state(self) -> dict[str, Any]:
        success = self.outcomes[Outcome.DELIVERED]
        attempts = sum(self.results.values())
        return {
            **self.counts(),
            "attempts": attempts,
            "failed_attempts": attempts - self.results[ACCEPTED],
            "average_delay_ms": round(1000 * self.response_seconds / success) if success else 0,
            "last_error": self.last_error,
        }

    def counts(self) -> dict[str, int]:
        """The terms of: claimed = delivered + failed + expired + filtered + released + in flight."""
        ended = {str(outcome): self.outcomes[outcome] for outcome in Outcome}
        return {"claimed": self.claimed, **ended, "released": self.released}


@dataclass(slots=True)
class Stats:
    """Counters of the whole process; `last_push` is in epoch seconds by the database's clock."""

    endpoints: dict[str, EndpointStats]
    started_at: float = field(default_factory=time.time)
    last_push: int | None = None
    pushed: float | None = None  # the same moment on the monotonic clock
    recent: Recent = field(default_factory=Recent)
    notifications: int = 0
    bad_notifications: int = 0
    sweeps: int = 0
    found_by_sweep: int = 0
    reconnects: int = 0
    pruned: int = 0
    config_fault: str | None = None  # why the configuration could not be used when it was last read
    config_used_at: float = field(default_factory=time.time)  # when the one in use was read, epoch seconds

    def know(self, names: Iterable[str]) -> None:
        """Have counters for these endpoints, from zero on where they are new; those of others stay."""
        for name in names:
            self.endpoints.setdefault(name, EndpointStats())

    def config_read(self, fault: str | None) -> None:
        """Note that the configuration has been read again, and what keeps it from being in use now."""
        self.config_fault = fault
        if fault is None:
            self.config_used_at = time.time()

    def reconnected(self) -> None:
        self.reconnects += 1

    def claimed(self, delivery: Delivery) -> None:
        self.endpoints[delivery.endpoint].claimed += 1

    def released(self, delivery: Delivery) -> None:
        self.endpoints[delivery.endpoint].released += 1

    def attempted(self, delivery: Delivery, attempt: Attempt, now: float) -> None:
        """Count an attempt that has just ended."""
        of = self.endpoints[delivery.endpoint]
        of.results[result(attempt)] += 1
        of.responses.observe(attempt.seconds)
        accepted = attempt.accepted
        of.course.attempted(now, attempt.seconds, accepted=accepted)
        if accepted:
            of.failures, of.failing_since = 0, None
            return
        of.failures += 1
        of.last_error = str(attempt)
        if of.failing_since is None:
            of.failing_since = now

    def settled(self, settlement: Settlement) -> None:
        """Count an outcome."""
        delivery, at = settlement.delivery, settlement.at
        of = self.endpoints[delivery.endpoint]
        of.outcomes[settlement.outcome] += 1
        delivered = settlement.outcome is Outcome.DELIVERED
        of.course.ended(at, delivered=delivered)
        self.recent.add(settlement)
        if delivered and settlement.last:
            of.response_seconds += settlement.last.seconds
            of.ages.observe(at - delivery.born)
            self.pushed = at
            self.last_push = time_at(delivery.row, at - delivery.born)

    def specified(self) -> dict[str, int | None]:
        """The five figures of the specification, in its order; the delay is null-free, 0 before the first push."""
        success = sum(of.outcomes[Outcome.DELIVERED] for of in self.endpoints.values())
        failure = sum(of.outcomes[Outcome.FAILED] for of in self.endpoints.values())
        seconds = sum(of.response_seconds for of in self.endpoints.values())
        return {
            "total_pushed": success + failure,
            "success_count": success,
            "failure_count": failure,
            "last_push_time": self.last_push,
            "average_delay_ms": round(1000 * seconds / success) if success else 0,
        }

    def totals(self) -> dict[str, int]:
        total = Counter(EndpointStats().counts())
        for of in self.endpoints.values():
            total.update(of.counts())
        return dict(total)

    def traffic(self) -> dict[str, Any]:
        return {
            "started_at": int(self.started_at),
            "notifications": self.notifications,
            "bad_notifications": self.bad_notifications,
            "sweeps": self.sweeps,
            "found_by_sweep": self.found_by_sweep,
            "reconnects": self.reconnects,
            "pruned": self.pruned,
        }
