"""The deliveries that ended last, in memory: bounded, shortened, and failures are not washed away by successes."""

from collections import deque
from collections.abc import Callable
from heapq import merge
from itertools import islice
from typing import NamedTuple

from pushd.event import Outcome, Settlement

_KEPT = {Outcome.DELIVERED: 500, Outcome.FAILED: 500, Outcome.EXPIRED: 200, Outcome.FILTERED: 200}
_LONGEST = 80  # characters of a text: a row may bring a megabyte


class Ended(NamedTuple):
    """A delivery that ended at `at`, on the monotonic clock; seconds, but for `time_us`."""

    at: float
    row_id: int
    time_us: int  # create_time, microseconds since the epoch
    wallet_code: str
    nick_name: str | None
    endpoint: str
    outcome: Outcome
    attempts: int
    status: int | None
    seconds: float | None  # that the last attempt took
    error: str | None
    age: float


class Recent:
    """A ring for each outcome."""

    def __init__(self) -> None:
        self._rings = {outcome: deque[Ended](maxlen=kept) for outcome, kept in _KEPT.items()}

    def add(self, settlement: Settlement) -> None:
        """Remember how a delivery ended."""
        delivery, last = settlement.delivery, settlement.last
        row, nick = delivery.row, delivery.row.wx_nick_name
        self._rings[settlement.outcome].append(
            Ended(
                settlement.at,
                row.id,
                row.time_us,
                row.wallet_code[:_LONGEST],
                nick and nick[:_LONGEST],
                delivery.endpoint,
                settlement.outcome,
                settlement.attempts,
                last.status if last else None,
                last.seconds if last else None,
                last.error if last else None,
                settlement.at - delivery.born,
            )
        )

    def latest(self, *outcomes: Outcome, most: int, wanted: Callable[[Ended], bool] | None = None) -> list[Ended]:
        """The last ones that ended so, the latest first."""
        rings = (reversed(self._rings[outcome]) for outcome in outcomes)
        found = merge(*rings, key=lambda ended: -ended.at)
        return list(islice(filter(wanted, found) if wanted else found, most))


def matching(text: str) -> Callable[[Ended], bool]:
    """Whether a delivery is of the row with this id, or has a wallet code that contains this."""
    sought = text.strip().casefold()
    return lambda ended: sought == str(ended.row_id) or sought in ended.wallet_code.casefold()
