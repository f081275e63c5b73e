"""The ear: a session that does nothing but LISTEN, and is asked every few seconds whether it still lives."""

import asyncio
import logging
import math
import secrets
from typing import NoReturn

from psycopg import sql

from pushd.doorbell import Doorbell
from pushd.errors import PoolerError
from pushd.event import MANY, row_ids
from pushd.inbox import Inbox
from pushd.log import pairs
from pushd.postgres import STATEMENT_BOUND, Connection, bounded, hear, probe
from pushd.stats import Stats

log = logging.getLogger(__name__)

_PROBE_EVERY = 5.0  # seconds; a half-open socket is silent: we are deaf for this and the bound at the most
_PROBE_BOUND = 3.0


class Listener:
    """Turns notifications into ids for the inbox. It is only a hint that is lost when it fails: a sweep follows."""

    def __init__(self, channel: str, doorbell: Doorbell, inbox: Inbox, stats: Stats) -> None:
        self._channel = channel
        self._doorbell = doorbell
        self._inbox = inbox
        self._stats = stats
        self.active = asyncio.Event()  # set while LISTEN is committed on a connection that answers
        self.moved = -math.inf  # when it last answered

    async def listen(self, connection: Connection) -> NoReturn:
        """Listen until the connection breaks."""
        connection.add_notify_handler(lambda said: self._take(said.channel, said.payload))
        async with bounded(connection, STATEMENT_BOUND):
            for channel in (self._channel, self._doorbell.channel):
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        # Only now, with LISTEN committed: what was said before was not said to us.
        await self._doorbell.ask(connection)
        self._inbox.want_sweep()
        log.info("listening %s", pairs(channel=self._channel))
        self.active.set()
        try:
            while True:
                self.moved = asyncio.get_running_loop().time()
                await hear(connection, self._take, _PROBE_EVERY)
                await probe(connection, _PROBE_BOUND)
        finally:
            self.active.clear()
            self._doorbell.deafen()
            self._inbox.wake()  # sweeps have to come more often from now on

    def _take(self, channel: str, payload: str) -> None:
        if channel == self._channel:
            self._hear(payload)
        else:
            self._doorbell.told(payload)

    def _hear(self, payload: str) -> None:
        self._stats.notifications += 1
        try:
            ids = row_ids(payload)
        except ValueError as error:
            self._stats.bad_notifications += 1
            log.warning("notification ignored, it is not from pushd's trigger %s", pairs(payload=error))
            return
        self._doorbell.heard(ids, asyncio.get_running_loop().time())
        if ids is None:
            self._inbox.want_sweep()
        else:
            self._inbox.add(ids)


async def call(connection: Connection, channel: str) -> None:
    """Have every daemon on this channel sweep."""
    async with bounded(connection, STATEMENT_BOUND):
        await connection.execute("select pg_notify(%s, %s)", [channel, MANY])


async def require_sessions(connection: Connection, other: Connection) -> None:
    """PoolerError unless what one session notifies reaches the other: a pool that shares sessions swallows it."""
    channel = f"pushd_probe_{secrets.token_hex(8)}"
    async with bounded(connection, STATEMENT_BOUND):
        await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        await other.execute("select pg_notify(%s, '')", [channel])
        heard = [each async for each in connection.notifies(timeout=_PROBE_BOUND, stop_after=1)]
        await connection.execute("unlisten *")
    if not heard:
        raise PoolerError(
            "notifications do not come through: a pooler (PgBouncer?) stands before PostgreSQL and shares sessions; "
            "let database.dsn lead to PostgreSQL itself, or to a pool_mode = session"
        )
