"""SIGHUP: endpoints come, change and go while rows keep flowing, and a bad file changes nothing."""

import asyncio
from collections import Counter

import pytest
from aiohttp import web
from conftest import Database, StartDaemon, configuration

from pushd.config import Config
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver, accept
from pushd.reload import needing_a_restart


def listen_pid(database: Database) -> int:
    ((pid,),) = database.execute(
        "select pid from pg_stat_activity where application_name = 'pushd listen' and datname = current_database()"
    )
    return int(pid)


async def reloaded(daemon: DaemonProcess, config: str) -> str:
    """Reload, and answer the line that tells so."""
    seen = sum("configuration reloaded" in line for line in daemon.lines)
    daemon.reconfigure(config)
    return await daemon.line("configuration reloaded", times=seen + 1)


async def test_endpoint_is_added_and_taken_away_without_a_deaf_window(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """The new one gets what comes from then on; LISTEN stays the same session all along."""
    daemon = await start_daemon([receiver.url()])
    pid = listen_pid(database)
    async with Receiver() as other:
        await receiver.until_accepted([before := database.insert()])
        line = await reloaded(daemon, configuration(database.daemon_dsn, [receiver.url(), other.url()]))
        assert "added=1 changed=0 removed=0" in line
        both = database.insert()
        await receiver.until_accepted([both])
        await other.until_accepted([both])
        assert before not in other.accepted_rows
        line = await reloaded(daemon, configuration(database.daemon_dsn, [receiver.url()]))
        assert "added=0 changed=0 removed=1" in line
        await receiver.until_accepted([after := database.insert()])
        assert after not in other.accepted_rows
    assert listen_pid(database) == pid
    stats = await daemon.stats()
    assert {each["delivered"] for each in stats["endpoints"].values()} == {1, 3}
    assert stats["claimed"] == stats["delivered"] == 4


async def test_what_waits_for_an_endpoint_that_is_taken_away_gets_an_outcome(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """At once for what was never tried; what is under way ends with its attempt; the other endpoint feels nothing."""
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        asked.set()
        await held.wait()
        return web.json_response({})

    async with Receiver() as slow:
        slow.answer = hold
        daemon = await start_daemon([receiver.url(), slow.url()], concurrent_pushers=1, timeout="20s")
        rows = [database.insert() for _ in range(20)]
        await receiver.until_accepted(rows)
        async with asyncio.timeout(5):
            await asked.wait()
        assert "rows_let_go=19" in await reloaded(daemon, configuration(database.daemon_dsn, [receiver.url()]))
        count = "select state, count(*) from pushd.history where endpoint not in (select endpoint from pushd.history where state = 'delivered' group by 1 having count(*) = 20) group by 1 order by 1"
        await database.until(count, [("claimed", 1), ("filtered", 19)])
        held.set()
        await database.until(count, [("delivered", 1), ("filtered", 19)])
        reasons = database.execute("select distinct error from pushd.history where state = 'filtered'")
        assert reasons == [("the endpoint was taken out of the configuration",)]
    stats = await daemon.stats()
    assert (stats["claimed"], stats["delivered"], stats["filtered"]) == (40, 21, 19)


async def test_endpoint_that_comes_back_while_its_last_attempt_is_under_way_is_pushed_to(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """By pushers of its own; and what is under way is counted all along, and waited for at the stop."""
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        asked.set()
        await held.wait()
        return web.json_response({})

    async with Receiver() as slow:
        slow.answer = hold
        daemon = await start_daemon([receiver.url(), slow.url()], concurrent_pushers=1, timeout="20s")
        first = database.insert()
        async with asyncio.timeout(5):
            await asked.wait()
        without = configuration(database.daemon_dsn, [receiver.url()], concurrent_pushers=1, timeout="20s")
        both = configuration(database.daemon_dsn, [receiver.url(), slow.url()], concurrent_pushers=1, timeout="20s")
        await receiver.until_accepted([first])
        await reloaded(daemon, without)
        stats = await daemon.stats()
        assert (stats["claimed"], stats["delivered"], stats["in_flight"]) == (2, 1, 1)
        assert stats["endpoints"][slow.url().removeprefix("http://")]["busy"] == 1
        await reloaded(daemon, both)
        slow.answer = accept
        second = database.insert()
        await slow.until_accepted([second])
        await reloaded(daemon, without)
        stopping = asyncio.create_task(daemon.stop())
        await daemon.line("stopping, finishing what is claimed")
        held.set()
        assert await stopping == 0
        assert set(database.history().values()) == {"delivered"}
        assert len(database.history()) == 4


async def test_changed_policy_is_in_force_from_the_next_attempt_on(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """More pushers at once, then fewer; none of the rows under way is lost or repeated."""
    open_now, most, changed, gate = 0, 0, asyncio.Condition(), asyncio.Event()

    async def count(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        nonlocal open_now, most
        async with changed:
            open_now += 1
            most = max(most, open_now)
            changed.notify_all()
        await gate.wait()
        open_now -= 1
        return web.json_response({})

    async def at_once(requests: int) -> None:
        async with asyncio.timeout(5), changed:
            await changed.wait_for(lambda: open_now == requests)

    receiver.answer = count
    daemon = await start_daemon([receiver.url()], concurrent_pushers=2)
    first = [database.insert() for _ in range(10)]
    await at_once(2)
    await reloaded(daemon, configuration(database.daemon_dsn, [receiver.url()], concurrent_pushers=5))
    await at_once(5)
    assert "changed=1" in await reloaded(
        daemon, configuration(database.daemon_dsn, [receiver.url()], concurrent_pushers=1)
    )
    gate.set()
    await receiver.until_accepted(first)
    most = 0
    second = [database.insert() for _ in range(20)]
    await receiver.until_accepted(second)
    assert most == 1
    assert set(Counter(arrival.row_id for arrival in receiver.arrivals).values()) == {1}


async def test_rows_flow_through_many_reloads(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Each row arrives once at the endpoint that stays, whatever happens around it."""
    daemon = await start_daemon([receiver.url()])
    async with Receiver() as other:
        rows = []
        for number in range(12):
            urls = [receiver.url(), other.url()] if number % 2 else [receiver.url()]
            config = configuration(database.daemon_dsn, urls, concurrent_pushers=1 + number % 4)
            reloading = asyncio.create_task(reloaded(daemon, config))
            rows += [await asyncio.to_thread(database.insert) for _ in range(15)]
            await reloading
        await receiver.until_accepted(rows)
    assert set(receiver.accepted_rows.values()) == {1}


async def test_bad_file_keeps_the_old_configuration_and_says_which_line(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Rows flow on; the manager is told that the reload is over; the metrics tell, until a good one comes."""
    daemon = await start_daemon([receiver.url()])
    good = configuration(database.daemon_dsn, [receiver.url()])
    daemon.reconfigure(good.replace("retry_interval", "retry_intervall"))
    line = await daemon.line("ERROR configuration not reloaded, the old one stays")
    assert "config.toml:3: webhook.retry_intervall: " in line
    assert "MONOTONIC_USEC=" in await daemon.told("^RELOADING=1\n")
    await receiver.until_accepted([database.insert()])
    assert "pushd_config_last_reload_successful 0.0" in (await daemon.get("/metrics"))[1].decode()
    told = "the configuration was not reloaded, the old one stays: "
    status, body = await daemon.get("/readyz")
    assert (status, told in body.decode(), "config.toml:3: webhook.retry_intervall" in body.decode()) == (
        200,
        True,
        True,
    )
    await reloaded(daemon, good)
    assert told not in (await daemon.get("/readyz"))[1].decode()
    assert "pushd_config_last_reload_successful 1.0" in (await daemon.get("/metrics"))[1].decode()
    assert [state for state in daemon.states if state == "READY=1"] == ["READY=1"] * 3


async def test_what_needs_a_restart_is_named(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """By its key; everything else is in force."""
    daemon = await start_daemon([receiver.url()])
    await reloaded(
        daemon, configuration(database.daemon_dsn, [receiver.url()], data_expiry="1m", extra='[daemon]\nname = "other"')
    )
    await daemon.line("a changed key waits for a restart, its old value stays key=webhook.data_expiry")
    await daemon.line("a changed key waits for a restart, its old value stays key=daemon.name")


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({}, []),
        ({"webhook": {"urls": ["http://b.example"], "timeout": "1s", "max_retries": 0}, "log": {"level": "debug"}}, []),
        ({"webhook": {"enabled": False}}, ["webhook.enabled"]),
        ({"database": {"dsn": "dbname=b"}, "server": {"port": 1}}, ["database.dsn", "server.port"]),
        (
            {"source": {"table": "b"}, "ledger": {"history_retention": "1d"}},
            ["source.table", "ledger.history_retention"],
        ),
    ],
)
def test_keys_that_need_a_restart(change: dict[str, dict[str, object]], keys: list[str]) -> None:
    """All but the endpoints with their policies, and the log."""

    def config(change: dict[str, dict[str, object]]) -> Config:
        tables: dict[str, dict[str, object]] = {
            "webhook": {"urls": ["http://a.example"]},
            **{table: {} for table in ("database", "source", "ledger", "server", "log")},
            "daemon": {"name": "a"},
        }
        return Config.model_validate({table: values | change.get(table, {}) for table, values in tables.items()})

    assert needing_a_restart(config({}), config(change)) == keys
