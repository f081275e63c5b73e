"""No wake-up is lost, however writers end around the moments of falling asleep and waking up."""

import asyncio
import contextlib
import dataclasses
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, configuration, connect

from pushd import configfile
from pushd.config import Config
from pushd.demo.receiver import Receiver
from pushd.doorbell import RATES, Doorbell, Rates, State
from pushd.inbox import Inbox
from pushd.parts import Parts, assemble
from pushd.pool import Pool
from pushd.postgres import Session
from pushd.preparation import prepare
from pushd.stats import EndpointStats, Stats

# Of state, that rows have to survive; thousands of them take minutes.
CHANGES = int(os.environ.get("PUSHD_TEST_CHANGES", "300"))

# As it is, but for a wake-up that one writer brings about on a slow machine, too.
EASILY_WOKEN = dataclasses.replace(RATES, wake_at=100.0, sleep_below=50.0)

# Falls asleep and wakes up as often as it can.
RESTLESS = Rates(wake_at=200, sleep_below=2000, calm=0.003, window=0.02)


@contextlib.asynccontextmanager
async def without_sweeps(config: Config, rates: Rates) -> AsyncIterator[Parts]:
    """The very parts of the daemon but for the sweeper: what the doorbell loses stays lost."""
    dsn = config.database.dsn.get_secret_value()
    stats = Stats({endpoint.name: EndpointStats() for endpoint in config.webhook.endpoints})

    def session(purpose: str, *, blocking: bool = False) -> Session:
        return Session(dsn, purpose, stats.reconnected, blocking=blocking)

    prepared = await session("start").run(lambda each: prepare(each, config))
    parts = assemble(config, prepared, stats, rates)
    async with asyncio.TaskGroup() as group:
        pool = Pool(parts.pipeline, group)
        await pool.apply({prepared.endpoint_ids[each.name]: each for each in config.webhook.endpoints})
        tasks = [
            group.create_task(session("listen").run(parts.listener.listen)),
            group.create_task(session("bell", blocking=True).run(parts.doorbell.keep)),
            group.create_task(session("claim").run(parts.claimer.run)),
            group.create_task(session("settle").run(parts.settler.settle)),
            group.create_task(session("heartbeat").run(parts.heartbeat.beat)),
        ]
        await parts.listener.active.wait()
        yield parts
        for task in [*tasks, *pool.pushers, *pool.clients]:
            task.cancel()
    assert stats.reconnects == 0


def insert(connection: psycopg.Connection[tuple[Any, ...]]) -> list[int]:
    """One row, in its own transaction where there is none."""
    cursor = connection.execute("insert into ocr_wallet_info (wallet_code) values ('A') returning id")
    return [row for (row,) in cursor.fetchall()]


def load(database: Database, receiver: Receiver, folder: Path, name: str = "a") -> Config:
    path = folder / f"{name}.toml"
    path.write_text(
        configuration(
            database.daemon_dsn,
            [receiver.url()],
            queue_size=100_000,
            concurrent_pushers=8,
            log="error",
            extra=f'[daemon]\nname = "{name}"',
        ),
        "utf-8",
    )
    return configfile.load(path, {})


async def becomes(doorbell: Doorbell, state: State, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while doorbell.state is not state:  # noqa: ASYNC110 (it has no need to tell anybody)
            await asyncio.sleep(0.001)


@dataclass
class Written:
    """What writers have committed: id → when the commit returned."""

    rows: dict[int, float] = field(default_factory=dict)
    enough: asyncio.Event = field(default_factory=asyncio.Event)


INSERT = "insert into ocr_wallet_info (wallet_code) values ('A') returning id"


async def write(dsn: str, written: Written, chance: random.Random) -> None:
    """Transactions of every kind, one after the other, in bursts and with pauses."""
    loop = asyncio.get_running_loop()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        while not written.enough.is_set():
            kind = chance.random()
            if kind < 0.05:
                ids = await two_phases(connection, chance)
            else:
                ids = await one_phase(connection, kind, chance)
            written.rows |= dict.fromkeys(ids, loop.time())
            if chance.random() < 0.02:
                await asyncio.sleep(chance.expovariate(1 / 0.1))


async def one_phase(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], kind: float, chance: random.Random
) -> list[int]:
    """A transaction with or without a savepoint, at once or after a while, committed or rolled back."""
    ids: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.suppress(psycopg.Rollback))
        transaction = await stack.enter_async_context(connection.transaction())
        ids += [row for (row,) in await (await connection.execute(INSERT)).fetchall()]
        if kind < 0.15:
            with contextlib.suppress(psycopg.Rollback):
                async with connection.transaction() as savepoint:
                    await connection.execute(INSERT)
                    raise psycopg.Rollback(savepoint)
            ids += [row for (row,) in await (await connection.execute(INSERT)).fetchall()]
        if kind > 0.9:
            await asyncio.sleep(chance.expovariate(1 / (0.2 if kind > 0.997 else 0.005)))
        if 0.8 < kind < 0.9:
            ids.clear()
            raise psycopg.Rollback(transaction)
    return ids


async def two_phases(connection: psycopg.AsyncConnection[tuple[Any, ...]], chance: random.Random) -> list[int]:
    """A prepared transaction: one that did not notify holds the lock on, whoever ends it; one that did is refused."""
    name = f"pushd_{chance.random()}"
    await connection.execute("begin")
    ids = [row for (row,) in await (await connection.execute(INSERT)).fetchall()]
    try:
        await connection.execute(f"prepare transaction '{name}'")
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.ObjectNotInPrerequisiteState):
        await connection.execute("rollback")
        return []
    await asyncio.sleep(chance.expovariate(1 / 0.005))
    await connection.execute(f"commit prepared '{name}'")
    return ids


async def test_no_wake_up_is_lost(database: Database, receiver: Receiver, tmp_path: Path) -> None:
    """With sweeps switched off every row arrives at once, through hundreds of changes of state."""
    changes = 0
    written = Written()
    async with without_sweeps(load(database, receiver, tmp_path), RESTLESS) as parts:
        await becomes(parts.doorbell, State.ASLEEP)
        writers = [asyncio.create_task(write(database.dsn, written, random.Random(number))) for number in range(8)]
        last = parts.doorbell.state
        async with asyncio.timeout(20 + CHANGES / 10):
            while changes < CHANGES:
                await asyncio.sleep(0.0005)
                changes += parts.doorbell.state is not last
                last = parts.doorbell.state
        written.enough.set()
        await asyncio.gather(*writers)
        assert len(written.rows) > 1000
        await receiver.until_accepted(written.rows, within=5)
        assert set(receiver.accepted_rows.values()) == {1}


async def test_it_wakes_up_when_notifications_come_too_fast_and_sleeps_when_little_happens(
    database: Database, receiver: Receiver, tmp_path: Path
) -> None:
    """Awake, writers do not notify at all; rows arrive all the same, and those of long transactions too."""
    async with without_sweeps(load(database, receiver, tmp_path), EASILY_WOKEN) as parts:
        await becomes(parts.doorbell, State.ASLEEP)
        rows = []
        with connect(database.dsn) as quick, connect(database.dsn) as slow:
            while parts.doorbell.state is State.ASLEEP:
                rows += await asyncio.to_thread(insert, quick)
            # Awake, and everybody who notified has been heard: from here on rows come in silence.
            await receiver.until_accepted(rows)
            with slow.transaction():
                late = insert(slow)
                rows += insert(quick)
                await receiver.until_accepted(rows, within=1)
                heard = parts.stats.notifications
                await becomes(parts.doorbell, State.FALLING)
                loud = insert(quick)  # from when the lock is asked for
                await receiver.until_accepted(loud, within=1)
                assert parts.stats.notifications == heard + 1
                assert not receiver.accepted_rows[late[0]]
            await receiver.until_accepted(late, within=1)
            await becomes(parts.doorbell, State.ASLEEP)


@pytest.mark.parametrize(
    "word", ["", "awake", "awake --5", "awake *", "awake 1,2", "awake ²", "awake 99999999999999999999", "hello"]
)
async def test_word_of_a_stranger_changes_nothing(word: str) -> None:
    """Whoever may connect may notify on any channel."""
    doorbell = Doorbell(1, Inbox(), RATES)
    doorbell.told(word)
    assert (doorbell.state, doorbell.tail) == (State.DEAF, None)


async def test_ids_that_are_no_sequence_are_listened_for(
    database: Database, receiver: Receiver, tmp_path: Path
) -> None:
    """A tail could not follow them; so it does not wake up, however many they are."""
    async with without_sweeps(load(database, receiver, tmp_path), EASILY_WOKEN) as parts:
        await becomes(parts.doorbell, State.ASLEEP)
        rows = [10**12 + number * 20_000 for number in range(400)]
        async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as writer:
            for row in rows:
                await writer.execute("insert into ocr_wallet_info (id, wallet_code) values (%s, 'A')", [row])
        await receiver.until_accepted(rows, within=1)
        assert parts.doorbell.state is State.ASLEEP


async def test_writers_pay_nothing_while_no_daemon_runs(database: Database) -> None:
    """The lock is free, nobody is notified."""
    with connect(database.dsn) as listener, connect(database.dsn) as writer:
        listener.execute("listen pushd_ocr_wallet_info")
        insert(writer)
        assert list(listener.notifies(timeout=0.3)) == []


async def test_keeper_is_followed_and_succeeded(database: Database, receiver: Receiver, tmp_path: Path) -> None:
    """The others sleep and wake with it; when it goes, one of them keeps the bell."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            without_sweeps(load(database, receiver, tmp_path, "first"), EASILY_WOKEN)
        )
        await becomes(first.doorbell, State.ASLEEP)
        async with without_sweeps(load(database, receiver, tmp_path, "second"), EASILY_WOKEN) as second:
            await becomes(second.doorbell, State.ASLEEP)
            with connect(database.dsn) as writer:
                rows: list[int] = []
                while second.doorbell.state is not State.AWAKE:
                    rows += await asyncio.to_thread(insert, writer)
                assert first.doorbell.state is State.AWAKE
                rows += insert(writer)
            await becomes(second.doorbell, State.ASLEEP)
            await stack.aclose()
            async with asyncio.timeout(10):
                while repr(second.doorbell) != "<Doorbell asleep, keeper>":  # noqa: ASYNC110 (as above)
                    await asyncio.sleep(0.001)
            with connect(database.dsn) as writer:
                row = insert(writer)
            await receiver.until_accepted(row, within=1)


async def test_one_who_comes_while_the_keeper_is_awake_is_told(
    database: Database, receiver: Receiver, tmp_path: Path
) -> None:
    """It looks at the tail as well, and need not wait for the next change of state."""
    async with without_sweeps(load(database, receiver, tmp_path, "first"), EASILY_WOKEN) as first:
        await becomes(first.doorbell, State.ASLEEP)
        with connect(database.dsn) as writer:
            while first.doorbell.state is not State.AWAKE:
                await asyncio.to_thread(insert, writer)
            async with without_sweeps(load(database, receiver, tmp_path, "second"), EASILY_WOKEN) as second:
                async with asyncio.timeout(10):
                    while second.doorbell.state is not State.AWAKE:
                        await asyncio.to_thread(insert, writer)
                assert second.doorbell.tail is not None
                assert first.doorbell.state is State.AWAKE
