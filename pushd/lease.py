"""Whether what we have claimed is still ours: who is silent for a lease is taken for dead, and others go on.

A process that was stopped and goes on later must not push what it had, before it has asked.
"""

import asyncio
import math

LEASE = 12.0  # seconds without a heartbeat; longer than any statement of a dead process can still run
_MARGIN = 1.0  # seconds by which we give up before the others may begin


class Lease:
    """Ours until a moment of the event loop's clock; without end while there is no database to take anything over."""

    def __init__(self) -> None:
        self._until = math.inf
        self._granted = False
        self._renewed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Lease until={self._until:.1f}>"

    def holds(self, now: float) -> bool:
        return now < self._until

    def kept(self, now: float) -> bool:
        """Whether the database knows of it: it holds, and not for want of a database."""
        return now < self._until < math.inf

    def may_claim(self, now: float) -> bool:
        """Whether the database knows of it: otherwise nobody would take over what we claim."""
        return self._granted and self.holds(now)

    def renew(self, asked: float) -> None:
        """Note a heartbeat that the database has answered; `asked` is the moment before the question."""
        self._until = asked + LEASE - _MARGIN
        self._granted = True
        self._renewed.set()

    def suspend(self) -> None:
        """Go on without one: PostgreSQL cannot be reached, and what is in memory is to be pushed all the same."""
        self._until = math.inf
        self._granted = False
        self._renewed.set()

    async def held(self) -> None:
        """Wait until it holds."""
        loop = asyncio.get_running_loop()
        while not self.holds(loop.time()):
            self._renewed.clear()
            await self._renewed.wait()

    async def granted(self) -> None:
        """Wait until we may claim."""
        loop = asyncio.get_running_loop()
        while not self.may_claim(loop.time()):
            self._renewed.clear()
            await self._renewed.wait()
