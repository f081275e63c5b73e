"""The doorbell lock: while it is ours, every writer's trigger notifies us.

A writer who finds the lock free, because no daemon runs, leaves without a
notification, and holds the lock shared until his transaction ends. So when the
exclusive lock is granted, all who left so have ended, and one more sweep sees
what they did. From the moment we ask for it, new writers notify.
"""

import asyncio
import logging
from typing import NoReturn

from pushd.inbox import Inbox
from pushd.log import pairs
from pushd.postgres import Connection, probe

log = logging.getLogger(__name__)

_KEY = 1886745448  # as in pushd.ring()
_PROBE_EVERY = 5.0
_PROBE_BOUND = 3.0


class Doorbell:
    """Holds the lock of one table; until it is granted, rows may come without a notification."""

    def __init__(self, oid: int, inbox: Inbox) -> None:
        # The trigger casts the unsigned oid to a signed integer; so must we.
        self._table = oid - 2**32 if oid >= 2**31 else oid
        self._inbox = inbox
        self.held = False

    async def hold(self, connection: Connection) -> NoReturn:
        """Ask for the lock, wait for it as long as it takes, and keep it until the connection breaks."""
        # The one wait without a bound: it ends with the longest open transaction of a writer,
        # and a dead server with the keepalives of the socket.
        await connection.execute("select pg_advisory_lock(%s::integer, %s::integer)", (_KEY, self._table))
        self.held = True
        log.debug("doorbell held %s", pairs(table=self._table))
        try:
            self._inbox.want_sweep()
            while True:
                await asyncio.sleep(_PROBE_EVERY)
                await probe(connection, _PROBE_BOUND)
        finally:
            self.held = False
