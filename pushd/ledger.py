"""The ledger: who takes part, how deliveries ended, and claims that are given up."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NoReturn

from pushd.errors import SchemaError
from pushd.event import Delivery, Settlement
from pushd.postgres import STATEMENT_BOUND, Connection, statement

Key = tuple[int, int, int]  # row_time in microseconds, row_id, endpoint_id

HIGH_MARK = 20_000  # outcomes in memory; from there on nothing is claimed until half of them are written
_AT_ONCE = 1000  # outcomes in one statement
_HEARTBEAT_EVERY = 3.0  # seconds


class Ledger:
    """The statements of one daemon on pushd.delivery; made by `enlist`."""

    def __init__(self, daemon_id: int, data_expiry: float) -> None:
        self.daemon_id = daemon_id
        self._data_expiry = data_expiry

    async def heartbeat(self, connection: Connection) -> None:
        """Say that this daemon is alive."""
        parameters = {"daemon_id": self.daemon_id, "data_expiry": self._data_expiry}
        await _execute(connection, "heartbeat", parameters)

    async def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        """Record outcomes; one that is recorded already, or is no longer ours, is passed over."""
        last = [settlement.last for settlement in settlements]
        parameters = _keys(settlement.delivery.key for settlement in settlements) | {
            "daemon_id": self.daemon_id,
            "states": [int(settlement.outcome) for settlement in settlements],
            "attempts": [settlement.attempts for settlement in settlements],
            "statuses": [attempt and attempt.status for attempt in last],
            "response_ms": [attempt and round(attempt.seconds * 1000) for attempt in last],
            "errors": [attempt and attempt.error for attempt in last],
        }
        await _execute(connection, "settle", parameters)

    async def recover(self, connection: Connection, held: Collection[Key]) -> tuple[int, int]:
        """Give up claims in our name that are not `held`; answers how many had expired and how many are free again."""
        parameters = _keys(held) | {"daemon_id": self.daemon_id, "data_expiry": self._data_expiry}
        ((expired, released),) = await _execute(connection, "recover", parameters)
        return expired, released


class Settler:
    """Outcomes on their way into the ledger: they wait in memory, however long PostgreSQL is away.

    The buffer has two marks: at the high one `calm` is cleared, and set again at half of it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._outcomes: deque[Settlement] = deque()
        self._added = asyncio.Event()
        self.held: set[Key] = set()  # claims of this process without an outcome in the ledger
        self.calm = asyncio.Event()
        self.calm.set()

    def __len__(self) -> int:
        return len(self._outcomes)

    def hold(self, delivery: Delivery) -> None:
        """Remember a claim as ours until its outcome is written."""
        self.held.add(delivery.key)

    def add(self, settlement: Settlement) -> None:
        """Take an outcome; never waits, never refuses."""
        self._outcomes.append(settlement)
        self._added.set()
        if len(self._outcomes) >= HIGH_MARK:
            self.calm.clear()

    async def settle(self, connection: Connection) -> NoReturn:
        """Write outcomes as they come, many at a time, and a heartbeat between them, until the connection breaks."""
        loop = asyncio.get_running_loop()
        beat = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(beat):
                    await self._added.wait()
            self._added.clear()  # before the look: what comes after it sets it again
            await self.flush(connection)
            if loop.time() >= beat:
                await self._ledger.heartbeat(connection)
                beat = loop.time() + _HEARTBEAT_EVERY

    async def flush(self, connection: Connection) -> None:
        """Write all outcomes there are; those that could not be written stay."""
        while self._outcomes:
            some = list(itertools.islice(self._outcomes, _AT_ONCE))
            await self._ledger.settle(connection, some)
            for settlement in some:
                self._outcomes.popleft()
                self.held.discard(settlement.delivery.key)
            if len(self._outcomes) <= HIGH_MARK // 2:
                self.calm.set()


async def require_grants(connection: Connection) -> None:
    """SchemaError when this role may not do on pushd's tables what it will have to do."""
    if missing := [what for (what,) in await _execute(connection, "missing_grants", {})]:
        raise SchemaError(f"may not {', '.join(missing)}: apply sql/0002_ledger.up.sql again, as its owner")


async def enlist(connection: Connection, name: str, data_expiry: float) -> Ledger:
    """Find this daemon in the ledger by its name, or enter it there."""
    rows = await _execute(connection, "enlist", {"name": name, "data_expiry": data_expiry})
    return Ledger(rows[0][0], data_expiry)


async def register(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Find the endpoints' ids by name; those never seen before are entered."""
    return dict(await _execute(connection, "register", {"names": list(names)}))


def _keys(keys: Iterable[Key]) -> dict[str, Any]:
    times_us, row_ids, endpoint_ids = [], [], []
    for time_us, row_id, endpoint_id in keys:
        times_us.append(time_us)
        row_ids.append(row_id)
        endpoint_ids.append(endpoint_id)
    return {"times_us": times_us, "row_ids": row_ids, "endpoint_ids": endpoint_ids}


async def _execute(connection: Connection, name: str, parameters: dict[str, Any]) -> Sequence[Any]:
    async with asyncio.timeout(STATEMENT_BOUND):
        cursor = await connection.execute(statement(name), parameters)
        return await cursor.fetchall() if cursor.description else ()
