"""How it went over the last minutes, in slots of a few seconds: enough for a small chart, and never more."""

from collections import deque
from typing import NamedTuple

SLOT = 5.0  # seconds
_KEPT = 120  # slots: ten minutes


class Slot(NamedTuple):
    """What a slot came to; `mean` and `worst` are of the attempts in it, in seconds, None without any."""

    delivered: int = 0
    failed: int = 0
    attempts: int = 0
    refused: int = 0  # attempts that were not accepted
    mean: float | None = None
    worst: float | None = None


class _Tally:
    __slots__ = ("attempts", "delivered", "failed", "number", "refused", "seconds", "worst")

    def __init__(self, number: int) -> None:
        self.number = number
        self.delivered = self.failed = self.attempts = self.refused = 0
        self.seconds = self.worst = 0.0


class Course:
    """Counts into the slot of now; slots in which nothing happened take no room."""

    __slots__ = ("_now", "_tallies")

    def __init__(self) -> None:
        self._now = _Tally(-1)
        self._tallies = deque([self._now], maxlen=_KEPT)

    def attempted(self, now: float, seconds: float, *, accepted: bool) -> None:
        """Count an attempt that took so long."""
        tally = self._at(now)
        tally.attempts += 1
        tally.seconds += seconds
        tally.worst = max(tally.worst, seconds)
        if not accepted:
            tally.refused += 1

    def ended(self, now: float, *, delivered: bool) -> None:
        """Count a delivery that has its outcome."""
        if delivered:
            self._at(now).delivered += 1
        else:
            self._at(now).failed += 1

    def _at(self, now: float) -> _Tally:
        number = int(now // SLOT)
        if number != self._now.number:
            self._now = _Tally(number)
            self._tallies.append(self._now)
        return self._now

    def slots(self, now: float) -> list[Slot]:
        """The slots of the last ten minutes, the oldest first, the one that is under way last."""
        by_number = {tally.number: tally for tally in self._tallies}
        last = int(now // SLOT)
        return [_slot(by_number.get(number)) for number in range(last - _KEPT + 1, last + 1)]


def _slot(tally: _Tally | None) -> Slot:
    if tally is None:
        return Slot()
    tried = tally.attempts > 0
    return Slot(
        tally.delivered,
        tally.failed,
        tally.attempts,
        tally.refused,
        tally.seconds / tally.attempts if tried else None,
        tally.worst if tried else None,
    )
