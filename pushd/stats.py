"""What has happened since the start, as counters and a snapshot of them."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pushd.event import Attempt, Delivery, Outcome, Settlement, time_at


@dataclass(slots=True)
class EndpointStats:
    """Counters of one endpoint; `response_seconds` sums over its successful attempts only."""

    claimed: int = 0
    released: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    attempts: int = 0
    failed_attempts: int = 0
    response_seconds: float = 0.0
    last_error: str | None = None
    failures: int = 0  # attempts that failed since one was accepted
    failing_since: float | None = None  # when the first of them ended, on the monotonic clock

    def state(self) -> dict[str, Any]:
        success = self.outcomes[Outcome.DELIVERED]
        return {
            **self.counts(),
            "attempts": self.attempts,
            "failed_attempts": self.failed_attempts,
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
    notifications: int = 0
    bad_notifications: int = 0
    sweeps: int = 0
    found_by_sweep: int = 0
    reconnects: int = 0
    pruned: int = 0

    def reconnected(self) -> None:
        self.reconnects += 1

    def claimed(self, delivery: Delivery) -> None:
        self.endpoints[delivery.endpoint].claimed += 1

    def released(self, delivery: Delivery) -> None:
        self.endpoints[delivery.endpoint].released += 1

    def attempted(self, delivery: Delivery, attempt: Attempt, now: float) -> None:
        """Count an attempt that has just ended."""
        of = self.endpoints[delivery.endpoint]
        of.attempts += 1
        if attempt.accepted:
            of.failures, of.failing_since = 0, None
            return
        of.failed_attempts += 1
        of.failures += 1
        of.last_error = str(attempt)
        if of.failing_since is None:
            of.failing_since = now

    def settled(self, settlement: Settlement) -> None:
        """Count an outcome."""
        of = self.endpoints[settlement.delivery.endpoint]
        of.outcomes[settlement.outcome] += 1
        if settlement.outcome is Outcome.DELIVERED and settlement.last:
            of.response_seconds += settlement.last.seconds
            self.pushed = settlement.at
            self.last_push = time_at(settlement.delivery.row, settlement.delivery.age(settlement.at))

    def seed(self) -> dict[str, int | None]:
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
