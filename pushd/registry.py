"""The registry of daemons: a name each, a heartbeat, and a lease after which the others take over."""

import asyncio
import logging
import uuid
from dataclasses import dataclass

from pushd.errors import NameTakenError
from pushd.lease import LEASE
from pushd.log import pairs
from pushd.postgres import Connection, query

log = logging.getLogger(__name__)

_LOOK_AGAIN = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat brings back: whether our lease had lapsed before it, and seconds until another one's lapses."""

    lapsed: bool
    next_lapse: float | None


class Registration:
    """Our place among the daemons; made by `enlist`."""

    def __init__(self, daemon_id: int, name: str, instance: uuid.UUID, data_expiry: float) -> None:
        self.daemon_id = daemon_id
        self._name = name
        self._instance = instance
        self._data_expiry = data_expiry
        self.claims = True  # until we are on our way down

    async def beat(self, connection: Connection) -> Beat:
        """Say that we are alive; NameTakenError when another process has our name now."""
        parameters = {
            "daemon_id": self.daemon_id,
            "instance": self._instance,
            "data_expiry": self._data_expiry,
            "claims": self.claims,
            "lease": LEASE,
        }
        rows = await query(connection, "heartbeat", parameters)
        if not rows:
            raise NameTakenError(self._name)
        return Beat(*rows[0])

    async def members(self, connection: Connection) -> frozenset[int]:
        """Who claims rows now, we among them."""
        return frozenset({self.daemon_id, *(id_ for (id_,) in await query(connection, "members", {}))})


async def enlist(connection: Connection, name: str, data_expiry: float) -> tuple[Registration, float]:
    """Take our name; also answers for how many seconds no daemon at all had been alive (0 at the very first start).

    NameTakenError when a process of that name lives; one that only seems to is waited for, a lease at the most.
    """
    instance = uuid.uuid4()
    await query(connection, "enlist", {"name": name, "data_expiry": data_expiry})
    first_seen: str | None = None
    while True:
        parameters = {"name": name, "instance": instance, "lease": LEASE}
        ((daemon_id, taken, heartbeat_at, silent),) = await query(connection, "take_name", parameters)
        if not taken:
            return Registration(daemon_id, name, instance, data_expiry), silent or 0.0
        if first_seen is None:
            log.warning("another daemon of this name was alive a moment ago, waiting %s", pairs(name=name))
            first_seen = heartbeat_at
        elif heartbeat_at != first_seen:
            raise NameTakenError(name)
        await asyncio.sleep(_LOOK_AGAIN)
