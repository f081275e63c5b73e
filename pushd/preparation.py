"""Before anything runs: the database is looked over, and our place in it is taken."""

import logging
from dataclasses import dataclass

import psycopg

from pushd import migrations, table
from pushd.config import Config
from pushd.errors import SchemaError
from pushd.ledger import Ledger, register, require_grants
from pushd.listener import require_sessions
from pushd.log import pairs
from pushd.postgres import Connection, brief, connect
from pushd.registry import Registration, enlist
from pushd.source import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a checked database tells: the watched table, our place among the daemons, the endpoints' ids by name."""

    source: Source
    registration: Registration
    silent: float  # seconds before this start for which no daemon was alive
    ledger: Ledger
    endpoint_ids: dict[str, int]


async def examine(connection: Connection, config: Config) -> tuple[Source, table.Condition]:
    """Make sure that the database is as it has to be; changes nothing. A PushdError says what a person must do."""
    try:
        async with connect(config.database.dsn.get_secret_value(), "start") as other:
            await require_sessions(connection, other)
        await migrations.require_all(connection)
        await require_grants(connection)
        source = await table.inspect(connection, config.source)
        return source, await table.condition(connection, source, config.source.table)
    except psycopg.ProgrammingError as error:  # no such table, no such right, and their like
        raise SchemaError(f"{brief(error)}: apply sql/ with psql, or run pushctl migrate") from error


async def prepare(connection: Connection, config: Config) -> Prepared:
    """Examine the database, take our name and what a former life under it has left, and find our endpoints."""
    source, condition = await examine(connection, config)
    if condition.indexes:  # the housekeeper says what else is wrong with the table, from the start on
        log.warning("%s", condition.indexes)
    data_expiry = config.webhook.data_expiry
    registration, silent = await enlist(connection, config.daemon.name, data_expiry)
    ledger = Ledger(registration.daemon_id, data_expiry)
    given_up = await ledger.recover(connection, ())
    log.info(
        "name taken %s",
        pairs(name=config.daemon.name, id=registration.daemon_id, expired=given_up.expired, released=given_up.released),
    )
    endpoint_ids = await register(connection, [endpoint.name for endpoint in config.webhook.endpoints])
    return Prepared(source, registration, silent, ledger, endpoint_ids)
