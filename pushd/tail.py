"""Which rows to look for while nobody rings: those above the highest id seen, and gaps that may still be filled.

Ids are drawn before their transactions commit, so they become visible out of
order: an id that is missing below the highest is a gap, of a transaction that
is open, or was rolled back. Young gaps are looked for often, old ones seldom,
and after a while not at all: then the sweep is enough.
"""

import heapq
from collections.abc import Collection

REACH = 10_000  # ids above the highest that are looked at; one set by hand beyond that leads nobody astray
_LIFE = 60.0  # seconds that a gap is looked for
_MOST_GAPS = 20_000
_SHORTEST_WAIT, _LONGEST_WAIT = 0.002, 0.5  # seconds between two looks for a gap


class Tail:
    """What to look for next; begun at an id below which everything has been announced."""

    def __init__(self, highest: int) -> None:
        self.highest = highest
        self._gaps: dict[int, float] = {}  # id → when it was first missed
        self._due: list[tuple[float, int]] = []  # a heap of when to look for which gap; closed ones linger

    def __repr__(self) -> str:
        return f"<Tail above={self.highest} gaps={len(self._gaps)}>"

    def gaps_due(self, now: float) -> list[int]:
        """The gaps to look for now; each waits longer the older it is."""
        due = []
        while self._due and self._due[0][0] <= now:
            _, id_ = heapq.heappop(self._due)
            since = self._gaps.get(id_)
            if since is None:
                continue
            if now - since > _LIFE:
                del self._gaps[id_]
                continue
            due.append(id_)
            wait = min(max((now - since) / 10, _SHORTEST_WAIT), _LONGEST_WAIT)
            heapq.heappush(self._due, (now + wait, id_))
        return due

    def all_gaps(self) -> list[int]:
        """Every gap there is, for a last look."""
        return list(self._gaps)

    def saw(self, ids: Collection[int], now: float) -> None:
        """Take note of what a look has brought: gaps close, and what was passed over becomes one."""
        for id_ in ids:
            self._gaps.pop(id_, None)
        highest = max(ids, default=self.highest)
        if highest <= self.highest:
            return
        found = set(ids)
        for id_ in range(self.highest + 1, highest):
            if id_ not in found and len(self._gaps) < _MOST_GAPS:
                self._gaps[id_] = now
                heapq.heappush(self._due, (now, id_))
        self.highest = highest
