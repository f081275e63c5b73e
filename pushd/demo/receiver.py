"""A receiver on this machine that writes down what it gets, and can be told to refuse some of it."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import web


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: when it came (time.time), its headers and body, and how it was answered."""

    at: float
    headers: dict[str, str]
    raw: bytes
    status: int

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def body(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def row_id(self) -> int:
        return int(self.body["data"]["id"])

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[["Receiver", web.Request, bytes], Awaitable[web.StreamResponse]]


async def accept(_: "Receiver", __: web.Request, ___: bytes) -> web.StreamResponse:
    """The answer of a receiver without quarrels."""
    return web.json_response({"success": True})


def held_port() -> socket.socket:
    """Hold a free port of 127.0.0.1: only a server that asks for it by number gets it, however long it is down.

    The socket is bound and never listens; the kernel gives its port to nobody who asks for any.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Receiver:
    """An HTTP server on 127.0.0.1; `answer` may be changed at any time."""

    def __init__(self, answer: Answer = accept) -> None:
        self.answer = answer
        self.arrivals: list[Arrival] = []
        self.accepted_rows: Counter[int] = Counter()  # how often each row was accepted
        self._news = asyncio.Event()
        self._held: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0  # from __aenter__ on, and the same after `take_up`

    async def __aenter__(self) -> Self:
        self._held = held_port()
        self.port = self._held.getsockname()[1]
        await self.take_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        if self._held:
            self._held.close()

    async def refuse(self) -> None:
        """Be down: no connection is accepted, and those there are end."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def take_up(self) -> None:
        """Be there (again)."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    def url(self, path: str = "/webhook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def until(self, done: Callable[[], bool], within: float = 10.0) -> None:
        """Wait until `done` holds, looked at after each arrival; TimeoutError otherwise."""
        async with asyncio.timeout(within):
            while not done():
                self._news.clear()
                await self._news.wait()

    async def until_accepted(self, rows: Iterable[int], within: float = 10.0) -> None:
        """Wait until each of these rows has been accepted; TimeoutError otherwise."""
        missing = set(rows)

        def none_missing() -> bool:
            missing.difference_update(self.accepted_rows)
            return not missing

        await self.until(none_missing, within)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        at = time.time()
        response = await self.answer(self, request, raw)
        arrival = Arrival(at, dict(request.headers), raw, response.status)
        self.arrivals.append(arrival)
        if arrival.accepted:
            self.accepted_rows[arrival.row_id] += 1
        self._news.set()
        return response
