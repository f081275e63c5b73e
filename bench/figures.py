"""What was measured, and the middle of it."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One turn of one engine at one work; `values` are named with their units."""

    work: str
    engine: str
    values: dict[str, float]


def quantile(values: Iterable[float], share: float) -> float:
    """Answer the smallest value that this share of all does not exceed; infinite without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


class Figures:
    """All measurements of a run, asked for by work, engine and name."""

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self.measurements = list(measurements)

    def engines(self, work: str) -> list[str]:
        """Answer who did this work, in the order of their first turns."""
        return list(dict.fromkeys(each.engine for each in self.measurements if each.work == work))

    def all(self, work: str, engine: str, name: str) -> list[float]:
        """Answer the figures of every turn, in their order."""
        found = [each.values for each in self.measurements if (each.work, each.engine) == (work, engine)]
        return [values[name] for values in found if name in values]

    def middle(self, work: str, engine: str, name: str) -> float | None:
        """Answer the median over the turns, or nothing if it was not measured."""
        values = self.all(work, engine, name)
        return statistics.median(values) if values else None

    def ratio(self, work: str, name: str, engine: str, other: str) -> float | None:
        """Answer the median of this engine over that of the other."""
        mine, theirs = self.middle(work, engine, name), self.middle(work, other, name)
        return mine / theirs if mine is not None and theirs else None
