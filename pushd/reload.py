"""Reading the configuration again while everything runs: endpoints change, and LISTEN is not touched."""

import asyncio
import logging
from collections.abc import Callable

import psycopg

from pushd import log as logs
from pushd.config import Config, Endpoint
from pushd.errors import ConfigError
from pushd.ledger import register
from pushd.log import pairs
from pushd.pool import Changes, Pool
from pushd.postgres import brief, connect
from pushd.stats import Stats

log = logging.getLogger(__name__)

_BOUND = 10.0  # seconds to find the ids of the endpoints


class Reload:
    """What was read at the start stays in force, but for the endpoints with their policies, and the log."""

    def __init__(self, started: Config, read: Callable[[], Config], stats: Stats) -> None:
        self._started = started
        self._read = read
        self._stats = stats

    async def reload(self, pool: Pool | None) -> None:
        """Read it and put it in force, or say why not and change nothing; without a pool nothing is pushed anyway."""
        fault: str | None = None
        try:
            await self._put_in_force(self._read(), pool)
        except ConfigError as error:
            fault = "; ".join(error.mistakes)
            for mistake in error.mistakes:
                fields = pairs(mistake=mistake)
                log.error("configuration not reloaded, the old one stays %s", fields)  # noqa: TRY400 (a line each)
        except (psycopg.Error, OSError, TimeoutError) as error:
            fault = f"PostgreSQL is away: {brief(error)}"
            fields = pairs(error=brief(error))
            log.error("configuration not reloaded, PostgreSQL is away: reload again %s", fields)  # noqa: TRY400
        self._stats.config_read(fault)

    async def _put_in_force(self, new: Config, pool: Pool | None) -> None:
        endpoints = await self._identified(new) if pool and new.webhook.enabled else None
        # Only now, with all that can fail behind us.
        logs.setup(new.log.level, new.log.format)
        for key in needing_a_restart(self._started, new):
            log.warning("a changed key waits for a restart, its old value stays %s", pairs(key=key))
        changes = Changes()
        if pool and endpoints is not None:
            self._stats.know(endpoint.name for endpoint in endpoints.values())
            changes = await pool.apply(endpoints)
        fields = pairs(
            added=changes.added, changed=changes.changed, removed=changes.removed, rows_let_go=changes.let_go
        )
        log.info("configuration reloaded %s", fields)

    async def _identified(self, new: Config) -> dict[int, Endpoint]:
        """The endpoints by their ids in the ledger, which those that are new there get now."""
        dsn = self._started.database.dsn.get_secret_value()
        endpoints = new.webhook.endpoints
        async with asyncio.timeout(_BOUND), connect(dsn, "reload") as connection:
            ids = await register(connection, [endpoint.name for endpoint in endpoints])
        return {ids[endpoint.name]: endpoint for endpoint in endpoints}


def needing_a_restart(started: Config, new: Config) -> list[str]:
    """The keys whose change a reload does not put in force."""
    webhook = ["enabled", "data_expiry"]  # the rest of this table is the endpoints'
    keys = [f"webhook.{key}" for key in webhook if getattr(started.webhook, key) != getattr(new.webhook, key)]
    for table in ("database", "source", "ledger", "server", "daemon"):
        before, after = getattr(started, table), getattr(new, table)
        fields = type(before).model_fields
        keys += [f"{table}.{key}" for key in fields if getattr(before, key) != getattr(after, key)]
    return keys
