"""Sessions that come back for ever, and statements that cannot hang."""

import asyncio
import logging
from importlib.resources import files
from typing import NoReturn

import psycopg
import pytest
from conftest import Database

from pushd.postgres import Connection, Session, connect, hear, statement


async def test_session_shows_its_purpose_and_is_bounded(database: Database) -> None:
    """In pg_stat_activity, with a limit to each statement."""
    async with connect(database.daemon_dsn, "claim") as connection:
        cursor = await connection.execute(
            "select current_setting('application_name'), current_setting('statement_timeout')"
        )
        assert await cursor.fetchall() == [("pushd claim", "10s")]
        assert connection.autocommit
    async with connect(database.daemon_dsn, "bell", blocking=True) as connection:
        cursor = await connection.execute("select current_setting('statement_timeout')")
        assert await cursor.fetchall() == [("0",)]


async def test_lost_session_is_opened_again(database: Database) -> None:
    """However often it is lost; the work starts anew each time."""
    began: asyncio.Queue[int] = asyncio.Queue()
    reconnects = 0

    def count() -> None:
        nonlocal reconnects
        reconnects += 1

    async def work(connection: Connection) -> NoReturn:
        await began.put(connection.info.backend_pid)
        while True:
            await connection.execute("select pg_sleep(30)")

    session = Session(database.daemon_dsn, "work", count)
    running = asyncio.create_task(session.run(work))
    async with asyncio.timeout(15):
        for _ in range(3):
            pid = await began.get()
            assert session.connected
            database.execute("select pg_terminate_backend(%s)", pid)
        await began.get()
    assert reconnects == 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_session_whose_work_fails_at_once_does_not_work_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be opened, and lacks a right: one line when that begins, and one when the work has gone on for a while."""
    monkeypatch.setattr("pushd.postgres._STEADY", 0.2)
    caplog.set_level(logging.INFO, "pushd.postgres")
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute("select" if tries > 3 else "select id from ocr_wallet_info for update")
        await connection.execute("select pg_sleep(0.5)")
        assert "session works again" in caplog.messages[-1]

    async with asyncio.timeout(15):
        await Session(database.daemon_dsn, "work", lambda: None).run(work)
    assert tries == 4
    assert [message.split(",")[0].split(" session=")[0] for message in caplog.messages] == [
        "session failed",
        "session works again",
    ]


async def test_notifications_are_heard_while_waiting_and_while_asking(database: Database) -> None:
    """One upon the other, none twice; and when the server hangs up, that is heard, too."""
    said: asyncio.Queue[str] = asyncio.Queue()
    async with connect(database.daemon_dsn, "test") as connection:
        connection.add_notify_handler(lambda each: said.put_nowait(each.payload))
        await connection.execute("listen here")
        database.execute("select pg_notify('here', 'first')")
        await connection.execute("select pg_notify('here', 'second')")
        hearing = asyncio.create_task(hear(connection, lambda _, payload: said.put_nowait(payload), 30.0))
        await asyncio.sleep(0)  # it hears
        database.execute("select pg_notify('here', 'third')")
        async with asyncio.timeout(10):
            assert [await said.get() for _ in range(3)] == ["first", "second", "third"]
            database.execute("select pg_terminate_backend(%s)", connection.info.backend_pid)
            with pytest.raises(psycopg.OperationalError):
                await hearing
    assert said.empty()


async def test_notifications_are_heard_in_the_encoding_of_the_session(database: Database) -> None:
    """That of the connection string, if it names one."""
    said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    async with connect(f"{database.daemon_dsn} client_encoding=GBK", "test") as connection:
        await connection.execute('listen "表"')
        hearing = asyncio.create_task(hear(connection, lambda *each: said.put_nowait(each), 30.0))
        await asyncio.sleep(0)  # it hears
        database.execute("select pg_notify('表', '钱包')")
        async with asyncio.timeout(5):
            assert await said.get() == ("表", "钱包")
        hearing.cancel()


async def test_who_cannot_take_a_notification_is_told_to_who_hears(database: Database) -> None:
    """It is not for the event loop to log it and go on."""

    def refuse(_: str, payload: str) -> None:
        raise RuntimeError(payload)

    async with connect(database.daemon_dsn, "test") as connection:
        await connection.execute("listen here")
        hearing = asyncio.create_task(hear(connection, refuse, 30.0))
        await asyncio.sleep(0)  # it hears
        database.execute("select pg_notify('here', 'first')")
        with pytest.raises(RuntimeError, match="first"):
            async with asyncio.timeout(5):
                await hearing


async def test_hearing_ends_when_its_time_is_up(database: Database) -> None:
    """So that whoever listens can ask whether the other side is still there."""
    async with connect(database.daemon_dsn, "test") as connection:
        async with asyncio.timeout(5):
            await hear(connection, lambda *_: None, 0.1)
        await connection.execute("select")


async def test_server_that_is_not_there_is_waited_for(database: Database, tmp_path: object) -> None:
    """Cancelled, it lets go at once."""
    session = Session(f"host={tmp_path} dbname=x", "work", lambda: None)

    async def work(_: Connection) -> str:
        return "never"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await session.run(work)
    assert not session.connected
    assert await Session(database.daemon_dsn, "work", lambda: None).run(_answer) == "done"


async def _answer(_: Connection) -> str:
    return "done"


async def test_connection_string_wins_over_our_defaults(database: Database) -> None:
    """Who sets one of them knows why."""
    async with connect(f"{database.daemon_dsn} application_name=mine", "claim") as connection:
        cursor = await connection.execute("select current_setting('application_name')")
        assert await cursor.fetchall() == [("mine",)]


async def test_standby_is_no_place_to_work(database: Database) -> None:
    """target_session_attrs=read-write: a read-only server is passed by."""
    database.execute(f"alter database {database.name} set default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        async with connect(database.daemon_dsn, "claim"):
            pass


def test_statements_are_files() -> None:
    """Each begins with what it is for."""
    names = sorted(file.name.removesuffix(".sql") for file in files("pushd").joinpath("queries").iterdir())
    assert "claim" in names
    for name in names:
        assert statement(name).startswith("-- ")
