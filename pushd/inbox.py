"""What waits to be claimed: ids that were heard of, and whether the whole window is to be swept."""

import asyncio

_MOST_IDS = 10_000  # beyond that a sweep is cheaper than remembering, and memory stays bounded


class Inbox:
    """Filled by whoever hears of rows, emptied by the one who claims them; filling never waits."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._sweep = False
        self._filled = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Inbox ids={len(self._ids)} sweep={self._sweep}>"

    def add(self, ids: frozenset[int]) -> None:
        """Remember rows to claim."""
        self._ids |= ids
        if len(self._ids) > _MOST_IDS:
            self.want_sweep()
        self._filled.set()

    def want_sweep(self) -> None:
        """Have the whole window swept, which makes all single ids needless."""
        self._ids.clear()
        self._sweep = True
        self._filled.set()

    def wake(self) -> None:
        """Have the claimer look around: something that it had to leave may be possible now."""
        self._filled.set()

    async def wait(self, until: float) -> None:
        """Wait for anything to do, until that moment of the event loop's clock at the latest."""
        try:
            async with asyncio.timeout_at(until):
                await self._filled.wait()
        except TimeoutError:
            return

    def take(self) -> tuple[set[int], bool]:
        """Hand over the ids, and whether to sweep; what comes in from now on is for the next time."""
        self._filled.clear()
        ids, sweep = self._ids, self._sweep
        self._ids, self._sweep = set(), False
        return ids, sweep
