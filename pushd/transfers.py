"""libcurl's multi interface on the running event loop: many transfers at once, and no thread waits for any of them."""

import asyncio
import select
from types import TracebackType
from typing import Self

import pycurl

_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class Transfers:
    """One multi handle with the connections that it keeps; a transfer is an easy handle that is performed."""

    def __init__(self, most_kept: int) -> None:
        self._most_kept = most_kept  # idle connections
        # The loop watches this one descriptor instead of each socket: libcurl changes what it wants to know of a socket
        # several times in a transfer, and here that is a system call and no more.
        self._sockets: select.epoll
        self._wanted: set[int] = set()  # the sockets that libcurl wants to hear of
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
        self._sockets = select.epoll()
        self._loop.add_reader(self._sockets.fileno(), self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for easy in self._running:  # whoever waits for one is cancelled too, but maybe later than we are
            self._multi.remove_handle(easy)
        self._running.clear()
        self._multi.close()
        if self._timer:
            self._timer.cancel()
        self._loop.remove_reader(self._sockets.fileno())
        self._sockets.close()

    async def perform(self, easy: pycurl.Curl) -> int:
        """Wait for a transfer to end, and answer libcurl's code of how; cancelled, it is broken off."""
        ended: asyncio.Future[int] = self._loop.create_future()
        self._running[easy] = ended
        self._multi.add_handle(easy)
        try:
            # libcurl has asked to be called at once, and may be from here on. A lone request need not wait for the
            # loop's next turn; of many, those of one turn go out together, which costs less.
            if len(self._running) == 1:
                self._set_timer(-1)
                self._act(pycurl.SOCKET_TIMEOUT, 0)
            return await ended
        finally:
            if self._running.pop(easy, None):
                self._multi.remove_handle(easy)

    def _look(self) -> None:
        for descriptor, events in self._sockets.poll(0):
            if descriptor in self._wanted:
                self._act(descriptor, _ready(events))
            else:
                self._sockets.unregister(descriptor)  # a kept connection that the other side has closed

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
        if what == pycurl.POLL_REMOVE:
            # It stays registered: it is likely to be wanted again at once, and a closed one drops out by itself.
            self._wanted.discard(descriptor)
            return
        self._wanted.add(descriptor)
        try:
            self._sockets.modify(descriptor, _EVENTS[what])
        except FileNotFoundError:
            self._sockets.register(descriptor, _EVENTS[what])

    def _set_timer(self, milliseconds: int) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        # Never from in here: libcurl does not allow itself to be called by what it calls.
        if milliseconds == 0:
            self._timer = self._loop.call_soon(self._act, pycurl.SOCKET_TIMEOUT, 0)
        elif milliseconds > 0:
            self._timer = self._loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)


def _ready(events: int) -> int:
    """What epoll says of a socket, in libcurl's terms."""
    return (
        (pycurl.CSELECT_IN if events & select.EPOLLIN else 0)
        | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0)
        | (pycurl.CSELECT_ERR if events & (select.EPOLLERR | select.EPOLLHUP) else 0)
    )
