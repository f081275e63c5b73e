"""What waits to be done about rows: ids that were heard of, and whether the whole window is to be swept."""

import asyncio

_MOST_IDS = 10_000  # beyond that a sweep is cheaper than remembering, and memory stays bounded


class Inbox:
    """Filled by whoever hears of rows, emptied by those who claim and sweep; filling never waits."""

    def __init__(self) -> None:
        self._ids: set[int] = set()
        self._sweep = False
        self._ids_there = asyncio.Event()  # set when there are ids
        self._sweep_there = asyncio.Event()  # set when there is a sweep to make, or room for one

    def __repr__(self) -> str:
        return f"<Inbox ids={len(self._ids)} sweep={self._sweep}>"

    def add(self, ids: frozenset[int]) -> None:
        """Remember rows to claim."""
        self._ids |= ids
        if len(self._ids) > _MOST_IDS:
            self._ids.clear()
            self.want_sweep()
        self._ids_there.set()

    def look(self) -> None:
        """Have the claimer look for rows by itself from now on."""
        self._ids_there.set()

    def want_sweep(self) -> None:
        """Have the whole window swept."""
        self._sweep = True
        self._sweep_there.set()

    def wake(self) -> None:
        """Have the sweeper look around: something that had to be left may be possible now."""
        self._sweep_there.set()

    async def wait_for_ids(self, until: float) -> None:
        """Wait for rows to claim, until that moment of the event loop's clock at the latest."""
        await _wait(self._ids_there, until)

    async def wait_for_sweep(self, until: float) -> None:
        """Wait for a reason to sweep, until that moment of the event loop's clock at the latest."""
        await _wait(self._sweep_there, until)

    def take_ids(self) -> set[int]:
        """Hand over the ids; what comes in from now on is for the next time."""
        self._ids_there.clear()
        ids, self._ids = self._ids, set()
        return ids

    def take_sweep(self) -> bool:
        """Whether the whole window is to be swept; who asks from now on asks for the next time."""
        self._sweep_there.clear()
        sweep, self._sweep = self._sweep, False
        return sweep


async def _wait(event: asyncio.Event, until: float) -> None:
    # The time being up is a reason like any other to look what there is; and cheaper than a timeout.
    timer = asyncio.get_running_loop().call_at(until, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
