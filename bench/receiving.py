"""The receiver's process, as those see it who measure."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

_PROGRAM = Path(__file__).with_name("receiver.py")


class Receiving:
    """Where to push, and what has come."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/"
        self.port = port

    @property
    def pid(self) -> int:
        return self._process.pid

    async def count(self) -> int:
        """Answer how many rows have come."""
        return int(await self._ask(b"count\n"))

    async def arrivals(self) -> dict[int, float]:
        """Answer when each row came first (time.time)."""
        count = int(await self._ask(b"arrivals\n"))
        assert self._process.stdout is not None
        lines = [await self._process.stdout.readline() for _ in range(count)]
        return {int(row_id): float(at) for row_id, at in (line.split() for line in lines)}

    async def counted(self, rows: int, within: float) -> int:
        """Wait until so many rows have come, or that many seconds are over; answer how many have."""
        until = time.monotonic() + within
        while (count := await self.count()) < rows and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return count

    async def until(self, rows: int, within: float) -> dict[int, float]:
        """Wait as long; answer when each came."""
        await self.counted(rows, within)
        return await self.arrivals()

    async def _ask(self, question: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question)
        async with asyncio.timeout(30):
            return await self._process.stdout.readline()


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiving]:
    """Run a receiver as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_PROGRAM)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Receiving(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.communicate()
