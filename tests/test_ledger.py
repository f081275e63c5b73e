"""The ledger keeps every delivery until it has an outcome and its time is over, and gives up what nobody works on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from conftest import Database

from pushd import config, table
from pushd.event import Attempt, Delivery, Outcome, Settlement
from pushd.ledger import GivenUp, Ledger, prune, register
from pushd.postgres import Connection, connect
from pushd.registry import enlist
from pushd.source import Source

EXPIRY = 300.0
WEEK = 7 * 86400.0


@dataclass
class Daemon:
    """One of several on a connection of the test's."""

    connection: Connection
    source: Source
    endpoints: dict[int, str]
    ledger: Ledger

    async def claim(self, *ids: int) -> list[Delivery]:
        claimed = await self.source.claim(self.connection, ids, self.endpoints, self.ledger.daemon_id, EXPIRY)
        return [*claimed.fresh, *claimed.expired]

    async def sweep(self) -> list[int]:
        page = await self.source.sweep(self.connection, self.endpoints, EXPIRY, None, 1000)
        return list(page.ids)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connect(database.daemon_dsn, "test") as connection:
        yield connection


async def daemon(connection: Connection, name: str = "a") -> Daemon:
    endpoints = {id_: endpoint for endpoint, id_ in (await register(connection, ["x"])).items()}
    registration, _ = await enlist(connection, name, EXPIRY)
    source = await table.inspect(connection, config.Source())
    return Daemon(connection, source, endpoints, Ledger(registration.daemon_id, EXPIRY))


def lapse(database: Database, name: str) -> None:
    database.execute("update pushd.daemon set lease_until = now() - interval '1 s' where name = %s", name)


# outcomes -------------------------------------------------------------------------


async def test_outcome_is_recorded_once(database: Database, connection: Connection) -> None:
    """With what the last attempt came to; the second one changes nothing."""
    daemon_ = await daemon(connection)
    (delivery,) = await daemon_.claim(database.insert())
    attempt = Attempt(status=503, error=None, seconds=0.1234)
    await daemon_.ledger.settle(connection, [Settlement(delivery, Outcome.FAILED, 4, attempt)])
    await daemon_.ledger.settle(connection, [Settlement(delivery, Outcome.DELIVERED, 5, attempt)])
    query = "select state, attempts, status, response_ms, error, settled_at is not null from pushd.history"
    assert database.execute(query) == [("failed", 4, 503, 123, None, True)]


async def test_outcome_of_a_claim_that_was_taken_over_is_passed_over(
    database: Database, connection: Connection
) -> None:
    """The delivery is another's now, and its outcome too."""
    slow, quick = await daemon(connection, "slow"), await daemon(connection, "quick")
    row_id = database.insert()
    (delivery,) = await slow.claim(row_id)
    lapse(database, "slow")
    await quick.ledger.take_over(connection)
    await quick.claim(row_id)
    await slow.ledger.settle(connection, [Settlement(delivery, Outcome.FAILED, 1)])
    assert database.execute("select state, daemon from pushd.history") == [("claimed", "quick")]


# claims that are given up ------------------------------------------------------------


async def test_claims_that_nobody_holds_are_free_again(database: Database, connection: Connection) -> None:
    """After a restart, or when an answer was lost; those in memory stay."""
    daemon_ = await daemon(connection)
    rows = [database.insert() for _ in range(3)]
    held = (await daemon_.claim(*rows))[0]
    assert await daemon_.ledger.recover(connection, {held.key}) == GivenUp(daemons=1, expired=0, released=2)
    assert await daemon_.sweep() == rows[1:]


async def test_unheld_claim_that_is_stale_by_now_has_expired(database: Database, connection: Connection) -> None:
    """It is recorded so, and says why."""
    daemon_ = await daemon(connection)
    row_id = database.insert_aged(EXPIRY - 1)
    await daemon_.claim(row_id)
    database.execute("update ocr_wallet_info set create_time = create_time - interval '2 s'")
    database.execute("update pushd.delivery set row_time = row_time - interval '2 s'")
    assert await daemon_.ledger.recover(connection, ()) == GivenUp(daemons=1, expired=1, released=0)
    assert database.execute("select state, error from pushd.history") == [
        ("expired", "the daemon that had claimed it ended before it was pushed")
    ]


async def test_claims_from_before_a_long_silence_are_found(database: Database, connection: Connection) -> None:
    """As far back as the last heartbeat, or as we ourselves could last look."""
    daemon_ = await daemon(connection)
    await daemon_.claim(database.insert())
    database.execute("update pushd.delivery set row_time = row_time - interval '2 h'")
    assert (await daemon_.ledger.recover(connection, ())).expired == 0
    assert (await daemon_.ledger.recover(connection, (), silent=7200)).expired == 1
    database.execute("update pushd.delivery set state = 0, settled_at = null")
    database.execute("update pushd.daemon set heartbeat_at = now() - interval '2 h'")
    assert (await daemon_.ledger.recover(connection, ())).expired == 1


async def test_claims_of_the_living_are_left_alone(database: Database, connection: Connection) -> None:
    """However old they are; only a lease that has run out gives them up."""
    one, two = await daemon(connection, "one"), await daemon(connection, "two")
    row_id = database.insert()
    await one.claim(row_id)
    assert await two.ledger.take_over(connection) == GivenUp(0, 0, 0)
    lapse(database, "one")
    assert await two.ledger.take_over(connection) == GivenUp(daemons=1, expired=0, released=1)
    assert await two.ledger.take_over(connection) == GivenUp(0, 0, 0)
    assert await two.sweep() == [row_id]


async def test_two_that_take_over_at_once_do_it_once(database: Database, connection: Connection) -> None:
    """The second waits for the first and finds nothing left."""
    dead, one, two = await daemon(connection, "dead"), await daemon(connection, "one"), await daemon(connection, "two")
    await dead.claim(*(database.insert() for _ in range(50)))
    lapse(database, "dead")
    async with connect(database.daemon_dsn, "other") as other:
        both = await asyncio.gather(one.ledger.take_over(connection), two.ledger.take_over(other))
    assert sorted(each.released for each in both) == [0, 50]


async def test_what_was_lost_while_silent_is_told(database: Database, connection: Connection) -> None:
    """Not what is still ours."""
    slow, quick = await daemon(connection, "slow"), await daemon(connection, "quick")
    before = await slow.claim(database.insert(), database.insert())
    lapse(database, "slow")
    await quick.ledger.take_over(connection)
    after = await slow.claim(database.insert())
    held = {each.key for each in [*before, *after]}
    assert await slow.ledger.lost(connection, held) == {each.key for each in before}


async def test_who_stops_leaves_nothing_behind(database: Database, connection: Connection) -> None:
    """Its claims are free, and nobody has to wait for its lease."""
    one, two = await daemon(connection, "one"), await daemon(connection, "two")
    row_id = database.insert()
    await one.claim(row_id)
    assert (await one.ledger.retire(connection)).released == 1
    assert database.execute("select lease_until from pushd.daemon where name = 'one'") == [(None,)]
    assert await two.sweep() == [row_id]


# retention ------------------------------------------------------------------------------


def deliveries(database: Database, *ages: float) -> None:
    """Settled ones whose rows and claims are so many seconds old, numbered from 1."""
    database.execute(
        "insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id, state, claimed_at, settled_at)"
        " select now() - age * interval '1 s', n, 1, 1, 1, now() - age * interval '1 s', now()"
        " from unnest(%s::float8[]) with ordinality as a (age, n)",
        [float(age) for age in ages],
    )


def kept(database: Database) -> list[int]:
    return [row_id for (row_id,) in database.execute("select row_id from pushd.delivery order by 1")]


async def test_deliveries_beyond_retention_go_in_batches(database: Database, connection: Connection) -> None:
    """Oldest first, each batch going on where the last one ended."""
    await daemon(connection)
    deliveries(database, WEEK + 30, WEEK + 20, WEEK + 10, WEEK - 60, 0)
    deleted, after = await prune(connection, WEEK, 2, "-infinity")
    assert deleted == 2
    assert kept(database) == [3, 4, 5]
    assert (await prune(connection, WEEK, 2, after))[0] == 1
    assert kept(database) == [4, 5]


async def test_what_may_still_be_looked_for_is_kept_whatever_the_retention(
    database: Database, connection: Connection
) -> None:
    """Of the daemon with the longest data_expiry, and an hour more: deleted, a fresh row would be pushed again."""
    await daemon(connection)
    await enlist(connection, "patient", 2 * 3600.0)
    deliveries(database, 3600, 3 * 3600 - 60, 3 * 3600 + 60)
    assert (await prune(connection, 1.0, 10, "-infinity"))[0] == 1
    assert kept(database) == [1, 2]


async def test_old_row_that_was_claimed_lately_keeps_its_record(database: Database, connection: Connection) -> None:
    """Retention is a promise about how long a delivery can be looked up."""
    await daemon(connection)
    deliveries(database, 2 * WEEK)
    database.execute("update pushd.delivery set claimed_at = now()")
    assert (await prune(connection, WEEK, 10, "-infinity"))[0] == 0


async def test_pruning_waits_for_nobody(database: Database, connection: Connection) -> None:
    """A delivery that somebody has locked is left for the next time."""
    await daemon(connection)
    deliveries(database, WEEK + 20, WEEK + 10)
    async with connect(database.dsn, "other") as other, other.transaction():
        await other.execute("select from pushd.delivery where row_id = 1 for update")
        assert (await prune(connection, WEEK, 10, "-infinity"))[0] == 1
    assert kept(database) == [1]
