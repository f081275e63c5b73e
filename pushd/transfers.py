"""libcurl's multi interface on the running event loop: many transfers at once, and no thread waits for any of them."""

import asyncio
from types import TracebackType
from typing import Self

import pycurl


class Transfers:
    """One multi handle with the connections that it keeps; a transfer is an easy handle that is performed."""

    def __init__(self, most_kept: int) -> None:
        self._most_kept = most_kept  # idle connections
        self._loop: asyncio.AbstractEventLoop
        self._multi: pycurl.CurlMulti
        self._timer: asyncio.Handle | None = None
        self._running: dict[pycurl.Curl, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, self._most_kept)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._multi.close()
        if self._timer:
            self._timer.cancel()

    async def perform(self, easy: pycurl.Curl) -> int:
        """Wait for a transfer to end, and answer libcurl's code of how; cancelled, it is broken off."""
        ended: asyncio.Future[int] = self._loop.create_future()
        self._running[easy] = ended
        self._multi.add_handle(easy)
        try:
            return await ended
        finally:
            if self._running.pop(easy, None):
                self._multi.remove_handle(easy)

    def _act(self, descriptor: int, events: int) -> None:
        _, running = self._multi.socket_action(descriptor, events)
        if running < len(self._running):
            self._collect()

    def _collect(self) -> None:
        """Hand out the codes of those that have ended."""
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for easy, code in [*((each, pycurl.E_OK) for each in good), *((each, code) for each, code, _ in bad)]:
                self._multi.remove_handle(easy)
                ended = self._running.pop(easy, None)
                if ended and not ended.done():
                    ended.set_result(code)

    # what libcurl asks for --------------------------------------------------------

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        if what in {pycurl.POLL_IN, pycurl.POLL_INOUT}:
            self._loop.add_reader(descriptor, self._act, descriptor, pycurl.CSELECT_IN)
        else:
            self._loop.remove_reader(descriptor)
        if what in {pycurl.POLL_OUT, pycurl.POLL_INOUT}:
            self._loop.add_writer(descriptor, self._act, descriptor, pycurl.CSELECT_OUT)
        else:
            self._loop.remove_writer(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0:
            # Never from in here: libcurl does not allow itself to be called by what it calls.
            self._timer = self._loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)
