"""Other processes: started, heard, ended, and what they have cost; read from /proc."""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Program:
    """A running program whose output goes to a file, so that reading it costs nothing while it is measured."""

    def __init__(self, process: asyncio.subprocess.Process, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid

    async def said(self, pattern: str, within: float = 30.0) -> None:
        """Wait until its output has this; RuntimeError with its last words otherwise."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not re.search(pattern, self._output.read_text("utf-8")) and self._process.returncode is None:
                    await asyncio.sleep(0.02)
        if not re.search(pattern, self._output.read_text("utf-8")):
            raise RuntimeError(f"no {pattern!r} from it: {self._output.read_text('utf-8')[-2000:]}")

    async def end(self, within: float = 20.0) -> None:
        """Ask it to end, and make it."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(within):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str | Path], output: Path, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Run this program as long as the context lasts."""
    with output.open("wb") as lines:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
            env=os.environ | dict(environ or {}),
        )
    program = Program(process, output)
    try:
        yield program
    finally:
        await program.end()


async def done(*command: str | Path) -> str:
    """Run this program to its end and answer what it printed; RuntimeError if it failed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed: {printed.decode()[-2000:]}")
    return printed.decode()


def cpu_seconds(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes have taken, user and system; what has ended counts nothing."""
    return sum(_ticks(pid, 2) for pid in pids) / _TICKS


def family_cpu_seconds(parent: int) -> float:
    """The same of a process and its children, those that have ended too: PostgreSQL with all of its sessions."""
    return (_ticks(parent, 4) + sum(_ticks(child, 2) for child in _children(parent))) / _TICKS


def resident(pids: Iterable[int]) -> float:
    """Resident memory of these processes, in MB of 10⁶ bytes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _ticks(pid: int, fields: int) -> int:
    """Of utime, stime, cutime, cstime in proc_pid_stat(5) the first so many."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return sum(int(each) for each in stat[11 : 11 + fields])
    return 0


def _children(parent: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text("utf-8").split()]
    return []
