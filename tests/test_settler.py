"""Outcomes reach the ledger, and none of them can keep the others out of it."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from conftest import Database

from pushd import config, table
from pushd.event import Attempt, Delivery, Outcome, Settlement
from pushd.ledger import Ledger, register
from pushd.postgres import Connection, connect
from pushd.registry import enlist
from pushd.settler import Settler


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connect(database.daemon_dsn, "test") as connection:
        yield connection


async def claimed(connection: Connection, database: Database, rows: int) -> tuple[Settler, list[Delivery]]:
    """So many rows, claimed, and held by a settler."""
    endpoints = {id_: name for name, id_ in (await register(connection, ["x"])).items()}
    registration, _ = await enlist(connection, "a", 300.0)
    source = await table.inspect(connection, config.Source())
    ids = [database.insert() for _ in range(rows)]
    claim = await source.claim(connection, ids, endpoints, registration.daemon_id, 300.0)
    settler = Settler(Ledger(registration.daemon_id, 300.0))
    for delivery in claim.fresh:
        settler.hold(delivery)
    return settler, list(claim.fresh)


def delivered(delivery: Delivery, error: str | None = None) -> Settlement:
    return Settlement(delivery, Outcome.DELIVERED, 1, Attempt(200, error, 0.01))


async def test_outcomes_are_written_together(database: Database, connection: Connection) -> None:
    """More than one statement takes, too; afterwards nothing is held."""
    settler, deliveries = await claimed(connection, database, 3)
    for delivery in deliveries:
        settler.add(delivered(delivery))
    assert settler.undecided() == set()
    await settler.flush(connection)
    assert set(database.history().values()) == {"delivered"}
    assert (len(settler), settler.held) == (0, set())


async def test_what_comes_while_outcomes_are_written_waits_for_the_next_time(
    database: Database, connection: Connection
) -> None:
    """Else a stream of outcomes would be written a few at a time, one statement upon the other."""
    settler, (first, second) = await claimed(connection, database, 2)
    settler.add(delivered(first))
    writing = asyncio.create_task(settler.flush(connection))
    await asyncio.sleep(0)  # it has begun, and waits for the database
    settler.add(delivered(second))
    await writing
    assert len(settler) == 1
    assert database.history()[second.row.id, "x"] == "claimed"
    await settler.flush(connection)
    assert set(database.history().values()) == {"delivered"}


async def test_two_outcomes_of_one_delivery_keep_nobody_out(database: Database, connection: Connection) -> None:
    """The ledger takes one of them, and all the others."""
    settler, deliveries = await claimed(connection, database, 5)
    for delivery in [*deliveries, deliveries[0]]:
        settler.add(delivered(delivery))
    await settler.flush(connection)
    assert list(database.history().values()) == ["delivered"] * 5


async def test_outcome_that_the_ledger_refuses_costs_no_other(
    database: Database, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """It is named in the log, and let go of."""
    settler, deliveries = await claimed(connection, database, 5)
    for number, delivery in enumerate(deliveries):
        settler.add(delivered(delivery, error="\0" if number == 3 else None))
    with caplog.at_level(logging.ERROR):
        await settler.flush(connection)
    states = database.history()
    assert [states[delivery.row.id, "x"] for delivery in deliveries] == ["delivered"] * 3 + ["claimed", "delivered"]
    assert [record.getMessage().split(" id=")[0] for record in caplog.records] == [
        "outcome cannot be recorded, the row may be pushed again"
    ]
    assert len(settler) == 0
