"""The ledger of deliveries: who receives, how deliveries ended, and claims that are given up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pushd.errors import SchemaError
from pushd.event import Key, Settlement
from pushd.postgres import Connection, array, query

LEAST_KEPT = 3600.0  # seconds after data_expiry for which a delivery stays, whatever the retention


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What became of claims without an owner: `daemons` whose they were, had `expired` already, `released` to all."""

    daemons: int
    expired: int
    released: int


class Ledger:
    """The statements of one daemon on pushd.delivery."""

    def __init__(self, daemon_id: int, data_expiry: float) -> None:
        self.daemon_id = daemon_id
        self._data_expiry = data_expiry

    async def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        """Record outcomes; one that is recorded already, or another daemon's by now, is passed over."""
        last = [settlement.last for settlement in settlements]
        errors = [attempt and attempt.error for attempt in last]
        parameters = _keys([settlement.delivery.key for settlement in settlements]) | {
            "daemon_id": self.daemon_id,
            "states": array(settlement.outcome.value for settlement in settlements),
            "attempts": array(settlement.attempts for settlement in settlements),
            "statuses": array(attempt and attempt.status for attempt in last),
            "response_ms": array(attempt and round(attempt.seconds * 1000) for attempt in last),
            "errors": errors if any(errors) else None,
        }
        await query(connection, "settle", parameters)

    async def recover(self, connection: Connection, held: Collection[Key], silent: float = 0.0) -> GivenUp:
        """Give up claims in our name that are not `held`, as far back as `silent` seconds and the last heartbeat."""
        return await self._give_up(connection, own=True, held=held, silent=silent)

    async def retire(self, connection: Connection) -> GivenUp:
        """Give up all that is in our name, and say that we owe nothing any more."""
        return await self._give_up(connection, own=True, ends=True)

    async def take_over(self, connection: Connection) -> GivenUp:
        """Give up the claims of the other daemons whose lease has run out."""
        return await self._give_up(connection, own=False, ends=True)

    async def _give_up(
        self,
        connection: Connection,
        *,
        own: bool,
        held: Collection[Key] = (),
        silent: float = 0.0,
        ends: bool = False,
    ) -> GivenUp:
        parameters = _keys(held) | {
            "daemon_id": self.daemon_id,
            "data_expiry": self._data_expiry,
            "own": own,
            "silent": silent,
            "ends": ends,
        }
        ((owners, expired, released),) = await query(connection, "give_up", parameters)
        return GivenUp(owners, expired, released)

    async def lost(self, connection: Connection, held: Collection[Key]) -> set[Key]:
        """Those of `held` that are not ours any more."""
        rows = await query(connection, "lost", _keys(held) | {"daemon_id": self.daemon_id})
        return {(time_us, row_id, endpoint_id) for time_us, row_id, endpoint_id in rows}


async def prune(connection: Connection, retention: float, size: int, after: str) -> tuple[int, str]:
    """Delete up to `size` deliveries older than `retention` seconds, oldest first; how many, and where to go on."""
    parameters = {"retention": retention, "least": LEAST_KEPT, "size": size, "after": after}
    ((deleted, last),) = await query(connection, "prune", parameters)
    return deleted, last or after


async def require_grants(connection: Connection) -> None:
    """SchemaError when this role may not do on pushd's tables what it will have to do."""
    if missing := [what for (what,) in await query(connection, "missing_grants", {})]:
        raise SchemaError(f"may not {', '.join(missing)}: apply sql/*.up.sql again, as the role that did")


async def register(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Find the endpoints' ids by name; those never seen before are entered."""
    return dict(await query(connection, "register", {"names": list(names)}))


def _keys(keys: Collection[Key]) -> dict[str, Any]:
    times_us, row_ids, endpoint_ids = zip(*keys, strict=True) if keys else ((), (), ())
    return {"times_us": array(times_us), "row_ids": array(row_ids), "endpoint_ids": array(endpoint_ids)}
