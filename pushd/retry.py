"""What follows from an attempt: an outcome, or another attempt at a later time."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import backoff

from pushd.config import Endpoint
from pushd.event import Attempt, Outcome

JITTER = 0.2
# Besides every 5xx: the receiver says itself that the same request may succeed later (RFC 9110, 8470, 6585).
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at `at`, a moment on the monotonic clock."""

    at: float


def decide(  # noqa: PLR0913 (time and chance come in as arguments)
    attempt: Attempt,
    attempts: int,
    policy: Endpoint,
    *,
    now: float,
    deadline: float,
    chance: Callable[[], float],
) -> Outcome | Retry:
    """Decide after attempt number `attempts`; `chance` answers a number in [0, 1).

    A row that would be stale at its next attempt has failed now: it was tried,
    and the receiver did not take it in time. Expired are rows never tried.
    """
    if attempt.accepted:
        return Outcome.DELIVERED
    if not may_pass(attempt) or attempts > policy.max_retries:
        return Outcome.FAILED
    at = now + max(wait(policy.retry_interval, attempts, chance()), attempt.retry_after or 0.0)
    return Retry(at) if at < deadline else Outcome.FAILED


def may_pass(attempt: Attempt) -> bool:
    """Whether the same request may succeed later: no answer at all, or an answer that says so."""
    return attempt.status is None or attempt.status >= 500 or attempt.status in _PASSING


def wait(interval: float, attempts: int, chance: float) -> float:
    """Seconds between attempt number `attempts` and the next: interval · 2^(attempts-1), give or take a fifth."""
    waits = backoff.expo(base=2, factor=interval)
    next(waits)  # the generator's first value is none: it waits to be sent to
    exact = next(itertools.islice(waits, attempts - 1, None))
    return exact * (1 + JITTER * (2 * chance - 1))
