"""A histogram of plain integers: a delivery is counted in well under a microsecond, whoever reads it later."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """Counts by upper bound, that of everything last; `total` is the sum of what was observed."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<Histogram {sum(self.counts)} observed, {self.total:g} in total>"

    def observe(self, value: float) -> None:
        """Count it in the first bucket whose bound it does not exceed."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: upper bound, and how many did not exceed it."""
        below, buckets = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            below += count
            buckets.append((bound, float(below)))
        return buckets
