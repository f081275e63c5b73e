"""Connections to PostgreSQL, each for one purpose and opened again for ever; knows no business."""

import asyncio
import contextlib
import functools
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, TypeVar

import backoff
import psycopg
from psycopg.conninfo import conninfo_to_dict

from pushd.log import pairs

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

STATEMENT_TIMEOUT = 10.0  # seconds, on the server; ours is a little longer, so that its answer is the one that counts
STATEMENT_BOUND = STATEMENT_TIMEOUT + 2.0
_CONNECT_BOUND = 20.0  # seconds for all hosts of a connection string together
_STEADY = 5.0  # seconds that a session has to last before an outage is over, and the waits start over
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0

# A connection string that sets one of these itself wins.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
    "client_encoding": "UTF8",
}


class Session:
    """One dedicated session, named for its purpose; lost, it is opened again, for ever."""

    def __init__(self, dsn: str, purpose: str, on_reconnect: Callable[[], None], *, blocking: bool = False) -> None:
        self._dsn = dsn
        self._purpose = purpose
        self._on_reconnect = on_reconnect
        self._blocking = blocking  # its statements wait on purpose: the server is to set them no limit
        self.connected = False
        self.opened = -math.inf  # when it was last opened
        self.failed = -math.inf  # when it last could not be opened, or broke
        self.error: str | None = None  # why

    def __repr__(self) -> str:
        return f"<Session {self._purpose} {'connected' if self.connected else 'not connected'}>"

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do `work` on a connection; whenever PostgreSQL fails it, start it anew on a new one."""
        loop = asyncio.get_running_loop()
        waits, failures, since = _waits(), 0, loop.time()

        def works() -> None:
            nonlocal waits, failures
            if failures:
                log.info("session works again %s", pairs(session=self._purpose, after=f"{self.opened - since:.1f}s"))
            waits, failures = _waits(), 0

        while True:
            try:
                async with connect(self._dsn, self._purpose, blocking=self._blocking) as connection:
                    self.connected, self.opened = True, loop.time()
                    if failures:
                        self._on_reconnect()
                    # A session that can be opened need not work: the work may lack a right, and fail at once.
                    steady = loop.call_later(_STEADY, works)
                    try:
                        result = await work(connection)
                    finally:
                        steady.cancel()
                    works()
                    return result
            except (psycopg.Error, OSError, TimeoutError) as error:
                self.connected = False
                self.failed, self.error = loop.time(), brief(error)
                if not failures:
                    since = loop.time()
                level = logging.DEBUG if failures else logging.WARNING  # once an outage is enough
                log.log(
                    level, "session failed, trying again for ever %s", pairs(session=self._purpose, error=self.error)
                )
                failures += 1
                # Full jitter: many clients of a restarted server must not come back in step.
                await asyncio.sleep(backoff.full_jitter(next(waits)))


def _waits() -> Any:
    waits = backoff.expo(base=2, factor=_FIRST_WAIT, max_value=_LONGEST_WAIT)
    next(waits)
    return waits


@contextlib.asynccontextmanager
async def connect(dsn: str, purpose: str, *, blocking: bool = False) -> AsyncIterator[Connection]:
    """Open a session in autocommit mode that shows its purpose in pg_stat_activity, and close it."""
    parameters = _DEFAULTS | {"application_name": f"pushd {purpose}"} | conninfo_to_dict(dsn)
    async with asyncio.timeout(_CONNECT_BOUND):
        connection = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
    try:
        async with bounded(connection, STATEMENT_BOUND):
            limit = 0 if blocking else int(STATEMENT_TIMEOUT * 1000)
            await connection.execute(statement("session"), {"statement_timeout": str(limit)})
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def bounded(connection: Connection, seconds: float) -> AsyncIterator[None]:
    """Give what is done on a connection so much time; then hang up on it, and TimeoutError.

    Not `asyncio.timeout`: psycopg answers a cancellation by asking the server to cancel, and waits for that
    twice five seconds more where nobody answers.
    """
    loop = asyncio.get_running_loop()
    hung_up = False

    def hang_up() -> None:
        nonlocal hung_up
        hung_up = True
        already_closed = contextlib.suppress(OSError, psycopg.Error)
        with already_closed, socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)

    timer = loop.call_later(seconds, hang_up)
    try:
        yield
    except psycopg.OperationalError as error:
        if hung_up:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


async def probe(connection: Connection, seconds: float) -> None:
    """Make sure that somebody answers at the other end within `seconds`; TimeoutError or psycopg.Error if not."""
    async with bounded(connection, seconds):
        await connection.execute("select")


@contextlib.contextmanager
def attentive(connection: Connection, on_word: Callable[[], None]) -> Iterator[None]:
    """While nothing is asked of a connection: call `on_word` when the server says something, as it does at its end."""
    loop, descriptor = asyncio.get_running_loop(), connection.fileno()
    loop.add_reader(descriptor, on_word)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


async def hear(connection: Connection, on_notification: Callable[[str, str], None], seconds: float) -> None:
    """Hand over channel and payload of each notification the moment it comes, for so long; psycopg.Error at its end.

    Not psycopg's `notifies`: that one looks up ten times a second for nothing, and is a task's turn later. Of what
    comes while something else is asked of the connection, psycopg tells its notify handlers.
    """
    loop, descriptor = asyncio.get_running_loop(), connection.fileno()
    encoding = connection.info.encoding
    broken: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        try:
            connection.pgconn.consume_input()
            while said := connection.pgconn.notifies():
                on_notification(said.relname.decode(encoding), said.extra.decode(encoding, "replace"))
        except Exception as error:  # noqa: BLE001 (raised below: a reader that fails would only be told to the loop)
            loop.remove_reader(descriptor)
            broken.set_exception(error)

    with attentive(connection, read):
        await asyncio.wait([broken], timeout=seconds)
    if broken.done():
        broken.result()


async def query(connection: Connection, name: str, parameters: dict[str, Any]) -> Sequence[Any]:
    """Run queries/NAME.sql and answer its rows, in bounded time."""
    async with bounded(connection, STATEMENT_BOUND):
        cursor = await connection.execute(statement(name), parameters)
        return await cursor.fetchall() if cursor.description else ()


def array(numbers: Iterable[int | None]) -> str:
    """Whole numbers as PostgreSQL writes an array of them, for a parameter with a cast.

    A list does as well, but psycopg looks at each of its elements for a type: for a thousand outcomes a millisecond.
    """
    return "{" + ",".join(["null" if number is None else str(number) for number in numbers]) + "}"


@functools.cache
def statement(name: str) -> str:
    """The text of queries/NAME.sql."""
    return files("pushd").joinpath("queries", f"{name}.sql").read_text("utf-8")


def brief(error: BaseException) -> str:
    """An error as one line for a log; PostgreSQL's own come with a second line, of where in the statement it was."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(error).strip()
    if "session is read-only" in text or "server is in hot standby mode" in text:
        return "the server is a standby, where nothing can be written: promote it, or name the primary in database.dsn"
    return text.split("\n", 1)[0] or type(error).__name__
