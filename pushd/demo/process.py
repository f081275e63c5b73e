"""The very daemon as a process of its own, started and heard as systemd would."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from pushd.errors import PushdError
from pushd.server import STATS_PATH

_SERVING = re.compile(r"serving statistics url=(\S+)")


class DaemonProcess:
    """`python -m pushd run` with a configuration in `folder`; ends with the context, by force if need be."""

    def __init__(self, folder: Path, config: str, environ: Mapping[str, str] | None = None) -> None:
        self._config = folder / "config.toml"
        self._config.write_text(config, "utf-8")
        self._socket = folder / "notify"
        self._environ = dict(environ or {})
        self._notified: asyncio.DatagramTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._over = False  # set when it can have nothing more to say
        self.lines: list[str] = []  # what it has logged
        self.states: list[str] = []  # what it has told the service manager

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._socket.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(self._socket))
        sock.setblocking(False)
        self._notified, _ = await loop.create_datagram_endpoint(lambda: _Ear(self), sock=sock)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pushd", "run", "-c", str(self._config)),
            env=os.environ | self._environ | {"NOTIFY_SOCKET": str(self._socket)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        assert self._process.stderr is not None, "asked for just above"  # noqa: S101 (for the type checker)
        self._reader = asyncio.create_task(self._read(self._process.stderr), name="daemon's lines")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._reader:
            await self._reader
        if self._notified:
            self._notified.close()

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "used outside of its context"  # noqa: S101 (a mistake of the caller's)
        return self._process

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def reconfigure(self, config: str) -> None:
        """Give it another configuration, and have it read that, as `systemctl reload` does."""
        self._config.write_text(config, "utf-8")
        self.send(signal.SIGHUP)

    async def told(self, pattern: str, times: int = 1, within: float = 10.0) -> str:
        """Wait until it has told the service manager this so many times, and answer all of what it said last."""
        if not await self._until(lambda: len(_matching(pattern, self.states)) >= times, within):
            raise PushdError(f"it did not tell {pattern!r}, but {self.states}")
        return _matching(pattern, self.states)[-1]

    async def ready(self, within: float = 15.0) -> None:
        """Wait until it says READY=1; PushdError with its last lines if it does not."""
        if not await self._until(lambda: any("READY=1" in state for state in self.states), within):
            raise PushdError("the daemon did not become ready:\n" + "\n".join(self.lines[-20:]))

    async def doorbell_held(self) -> None:
        """Wait until every writer notifies it (logged at level debug)."""
        await self.line("doorbell held")

    async def line(self, pattern: str, within: float = 10.0, times: int = 1) -> str:
        """Wait for so many log lines that the pattern is found in, and answer the last; else PushdError."""
        if not await self._until(lambda: len(_matching(pattern, self.lines)) >= times, within):
            raise PushdError(f"no line with {pattern!r} in:\n" + "\n".join(self.lines[-20:]))
        return _matching(pattern, self.lines)[-1]

    async def ended(self, within: float = 20.0) -> int:
        """Wait for its end and answer its exit code; all of its lines are there then."""
        async with asyncio.timeout(within):
            code = await self._running.wait()
            await self._until(lambda: self._over, within)
        return code

    async def stop(self, within: float = 20.0) -> int:
        """Ask it to stop, as systemd does, and answer its exit code."""
        self.send(signal.SIGTERM)
        return await self.ended(within)

    async def stats_url(self) -> str:
        """Where its statistics are served."""
        found = _SERVING.search(await self.line(_SERVING.pattern))
        return found[1] if found else STATS_PATH

    async def stats(self) -> dict[str, Any]:
        """What its HTTP server answers now, the inner `data`."""
        _, body = await self.get(STATS_PATH)
        answer: dict[str, Any] = orjson.loads(body)["data"]
        return answer

    async def get(self, path: str) -> tuple[int, bytes]:
        """The status and the body of what it answers there."""
        url = (await self.stats_url()).removesuffix(STATS_PATH) + path
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            return response.status, await response.read()

    async def _until(self, done: Callable[[], bool], within: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not done() and not self._over:
                    self._news.clear()
                    await self._news.wait()
        return done()

    async def _read(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
            self._news.set()
        self._over = True
        self._news.set()

    def hear(self, state: str) -> None:
        """Take down what it tells the service manager."""
        self.states.append(state)
        self._news.set()


def _matching(pattern: str, lines: list[str]) -> list[str]:
    return [line for line in lines if re.search(pattern, line)]


class _Ear(asyncio.DatagramProtocol):
    """The service manager's end of sd_notify(3)."""

    def __init__(self, process: DaemonProcess) -> None:
        self._daemon = process

    def datagram_received(self, data: bytes, _: object) -> None:
        self._daemon.hear(data.decode())
