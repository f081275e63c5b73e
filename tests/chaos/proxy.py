"""A TCP proxy on 127.0.0.1 that makes a network misbehave: cut, freeze, delay, refuse."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Self

from pushd.demo.receiver import held_port

Upstream = tuple[str, int] | str  # host and port, or the path of a Unix socket
Chosen = Callable[["Link"], bool]

_GREETING = 4096  # bytes; a PostgreSQL start-up packet fits, and so it is known who speaks
_AT_ONCE = 65536


def every(_: "Link") -> bool:
    """Choose each link."""
    return True


class Link:
    """One connection through the proxy: two flows, which stand still together."""

    def __init__(self) -> None:
        self.greeting = b""  # the first bytes that the client sent
        self.flowing = asyncio.Event()  # cleared while frozen
        self.flowing.set()
        self.writers: list[asyncio.StreamWriter] = []  # to the client, and to the upstream once it is there

    def reset(self) -> None:
        """End both sides at once, with RST where there is such a thing."""
        for writer in self.writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Passes bytes on between whoever connects to `port` and the upstream, as long as nobody interferes."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._held: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._frozen = False  # also for connections to come
        self.links: set[Link] = set()
        self.port = 0  # from __aenter__ on, and the same after `take_up`
        self.delay_up = 0.0  # seconds, from the client to the upstream
        self.delay_down = 0.0

    async def __aenter__(self) -> Self:
        self._held = held_port()
        self.port = self._held.getsockname()[1]
        await self.take_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        if self._held:
            self._held.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def refuse(self) -> None:
        """Refuse new connections; those there are go on."""
        if self._server:
            self._server.close()
            self._server = None

    async def take_up(self) -> None:
        """Accept connections (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    def cut(self, chosen: Chosen = every) -> int:
        """Reset connections now; answers how many."""
        links = [link for link in self.links if chosen(link)]
        for link in links:
            link.reset()
        return len(links)

    def freeze(self, chosen: Chosen | None = None) -> int:
        """Hold back what comes, while the kernel acknowledges it; answers how many connections that strikes.

        Without a choice every connection is struck, also those to come.
        """
        self._frozen = chosen is None
        links = [link for link in self.links if (chosen or every)(link)]
        for link in links:
            link.flowing.clear()
        return len(links)

    def thaw(self) -> None:
        """Pass on what was held back, and all that comes, also where one side has gone away since."""
        self._frozen = False
        for link in self.links:
            link.flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio calls this in a task"
        self._tasks.add(task)
        link = Link()
        link.writers.append(writer)
        if self._frozen:
            link.flowing.clear()
        self.links.add(link)
        try:
            await self._serve(link, reader, writer)
        except OSError:
            link.reset()  # the upstream is not there: the client is told the hard way
        finally:
            self.links.discard(link)
            self._tasks.discard(task)
            for each in link.writers:
                each.close()

    async def _serve(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._upstream, str):
            there, upstream = await asyncio.open_unix_connection(self._upstream)
        else:
            there, upstream = await asyncio.open_connection(*self._upstream)
        link.writers.append(upstream)

        def overhear(chunk: bytes) -> None:
            link.greeting = (link.greeting + chunk)[:_GREETING]

        async with asyncio.TaskGroup() as flows:
            flows.create_task(_flow(link, reader, upstream, lambda: self.delay_up, overhear))
            flows.create_task(_flow(link, there, writer, lambda: self.delay_down, lambda _: None))


async def _flow(
    link: Link,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay: Callable[[], float],
    overhear: Callable[[bytes], None],
) -> None:
    """Carry one direction. Reading never waits for writing, so that the kernel acknowledges whatever is held back."""
    loop = asyncio.get_running_loop()
    held: deque[tuple[float, bytes]] = deque()  # when it may be passed on, and what; b"" is the end
    news = asyncio.Event()

    async def read() -> None:
        chunk = b"?"
        while chunk:
            try:
                chunk = await reader.read(_AT_ONCE)
            except OSError:
                chunk = b""
            overhear(chunk)
            held.append((loop.time() + delay(), chunk))
            news.set()

    async def write() -> None:
        while True:
            news.clear()
            while held:
                due, chunk = held.popleft()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await link.flowing.wait()
                if not writer.is_closing():
                    with contextlib.suppress(OSError, RuntimeError):  # the other side may have gone meanwhile
                        writer.write(chunk) if chunk else writer.write_eof()
                        await writer.drain()
                if not chunk:
                    return
            await news.wait()

    await asyncio.gather(read(), write())
