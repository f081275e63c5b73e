"""How much happens: a rate over the last moments, with the time passed in."""

from collections import deque


class Pace:
    """Counts events, and remembers the highest id among those of the window."""

    def __init__(self, window: float) -> None:
        self._window = window  # seconds
        self._events: deque[tuple[float, int]] = deque()
        self._count = 0
        self.highest: int | None = None  # since the window was last empty

    def add(self, count: int, now: float, highest: int | None = None) -> None:
        """Note that many events at that time."""
        self._forget(now)
        if count:
            self._events.append((now, count))
            self._count += count
        if highest is not None:
            self.highest = highest if self.highest is None else max(self.highest, highest)

    def rate(self, now: float) -> float:
        """Events a second, over the window."""
        self._forget(now)
        return self._count / self._window

    def _forget(self, now: float) -> None:
        while self._events and self._events[0][0] <= now - self._window:
            self._count -= self._events.popleft()[1]
        if not self._events:
            self.highest = None
