"""A name belongs to one process at a time, and who has it is known to all."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from conftest import Database

from pushd.errors import NameTakenError
from pushd.postgres import Connection, connect
from pushd.registry import Registration, enlist

EXPIRY = 300.0


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connect(database.daemon_dsn, "test") as connection:
        yield connection


async def enlisted(connection: Connection, name: str = "a") -> Registration:
    registration, _ = await enlist(connection, name, EXPIRY)
    return registration


def silence(database: Database, seconds: float) -> None:
    """As if nobody had been alive for so long."""
    database.execute(
        "update pushd.daemon set heartbeat_at = now() - %s * interval '1 second',"
        " lease_until = now() - %s * interval '1 second', backend_pid = null",
        seconds,
        seconds - 12,
    )


async def test_restart_takes_its_name_back_at_once(database: Database, connection: Connection) -> None:
    """Also within the lease: the session of a killed process has ended with it."""
    async with connect(database.daemon_dsn, "heartbeat") as heartbeat:
        first = await enlisted(heartbeat)
        await first.beat(heartbeat)
    second = await enlisted(connection)
    assert second.daemon_id == first.daemon_id


async def test_name_of_a_living_daemon_is_refused(database: Database, connection: Connection) -> None:
    """Known by its heartbeat, which moves; one line says what to do, and systemd does not start it again."""
    async with connect(database.daemon_dsn, "heartbeat") as heartbeat:
        living = await enlisted(heartbeat)
        await living.beat(heartbeat)
        asking = asyncio.create_task(enlist(connection, "a", EXPIRY))
        while not asking.done():
            await living.beat(heartbeat)
            await asyncio.wait([asking], timeout=0.1)
        with pytest.raises(
            NameTakenError, match=r"another daemon named a is alive: give each its own with daemon\.name"
        ):
            await asking
        assert NameTakenError.exit_code == 78
        assert not (await living.beat(heartbeat)).lapsed


async def test_session_left_behind_is_waited_for_no_longer_than_the_lease(
    database: Database, connection: Connection
) -> None:
    """A pooler or a half-open connection keeps the dead one's session."""
    async with connect(database.daemon_dsn, "heartbeat") as heartbeat:
        dead = await enlisted(heartbeat)
        await dead.beat(heartbeat)
        asking = asyncio.create_task(enlist(connection, "a", EXPIRY))
        await asyncio.wait([asking], timeout=0.7)
        assert not asking.done()
        database.execute("update pushd.daemon set lease_until = now()")
        async with asyncio.timeout(5):
            registration, _ = await asking
    assert registration.daemon_id == dead.daemon_id


async def test_who_lost_its_name_finds_out_at_the_next_beat(connection: Connection) -> None:
    """A process that was silent for too long must not go on under a name that is another's now."""
    old = await enlisted(connection)
    new = await enlisted(connection)
    with pytest.raises(NameTakenError):
        await old.beat(connection)
    assert not (await new.beat(connection)).lapsed


async def test_beat_tells_whether_the_lease_had_lapsed(database: Database, connection: Connection) -> None:
    """By the database's clock; the others may have taken claims over in between."""
    registration = await enlisted(connection)
    assert not (await registration.beat(connection)).lapsed
    silence(database, 20)
    assert (await registration.beat(connection)).lapsed
    database.execute("update pushd.daemon set lease_until = null")
    assert (await registration.beat(connection)).lapsed
    assert not (await registration.beat(connection)).lapsed


async def test_beat_tells_when_the_next_lease_runs_out(database: Database, connection: Connection) -> None:
    """Of another daemon; None when there is nobody, or all have stopped properly."""
    registration = await enlisted(connection, "a")
    assert (await registration.beat(connection)).next_lapse is None
    await enlisted(connection, "b")
    assert (await registration.beat(connection)).next_lapse == pytest.approx(12, abs=1)
    database.execute("update pushd.daemon set lease_until = null where name = 'b'")
    assert (await registration.beat(connection)).next_lapse is None


async def test_members_are_those_that_live_and_claim(database: Database, connection: Connection) -> None:
    """Not the silent, the stopped and those on their way down; always oneself."""
    daemons = {name: await enlisted(connection, name) for name in "abcd"}
    me = daemons["a"]
    assert await me.members(connection) == {each.daemon_id for each in daemons.values()}
    database.execute("update pushd.daemon set lease_until = now() - interval '1 s' where name = 'b'")
    database.execute("update pushd.daemon set lease_until = null where name = 'c'")
    daemons["d"].claims = False
    await daemons["d"].beat(connection)
    assert await me.members(connection) == {me.daemon_id}
    silence(database, 20)
    assert await me.members(connection) == {me.daemon_id}


async def test_enlisting_tells_how_long_nobody_was_alive(database: Database, connection: Connection) -> None:
    """Of all daemons the last one counts; before the very first start there was nothing to miss."""
    assert (await enlist(connection, "a", EXPIRY))[1] == 0.0
    await enlisted(connection, "b")
    silence(database, 500)
    database.execute("update pushd.daemon set heartbeat_at = now() - interval '100 s' where name = 'b'")
    assert (await enlist(connection, "a", EXPIRY))[1] == pytest.approx(100, abs=5)


async def test_instance_is_told_apart_by_chance_alone(database: Database, connection: Connection) -> None:
    """No clock and no pid in it: two starts in one moment on one host differ."""
    seen: set[uuid.UUID] = set()
    for _ in range(3):
        await enlisted(connection)
        seen |= {each for (each,) in database.execute("select instance from pushd.daemon")}
    assert len(seen) == 3
