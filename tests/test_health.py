"""Health as a judgement on facts, and what a real daemon answers of itself; tests/chaos strikes it for real."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Database, StartDaemon, configuration

from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver
from pushd.facts import Facts, Lane, Loop, Phase
from pushd.health import judge, moves, span, status

NOW = 10_000.0
_MOVED = Loop(moved=NOW - 1)
WELL = Facts(
    listen=_MOVED,
    claim=_MOVED,
    sweep=Loop(moved=NOW - 100, due=NOW + 5),
    heartbeat=_MOVED,
    settle=Loop(moved=NOW - 1000),
    lanes=[Lane("one"), Lane("two")],
    pushed=NOW - 2,
)


def but(facts: Facts = WELL, **changes: Any) -> Facts:
    return dataclasses.replace(facts, **changes)


def reasons(facts: Facts) -> list[str]:
    return [str(reason) for reason in judge(facts, NOW).reasons]


def broken(error: str = "connection refused") -> Loop:
    return Loop(moved=NOW - 5, failed=NOW - 1, error=error)


def test_what_moves_or_has_nothing_to_do_is_ready() -> None:
    """Nothing to settle, nothing to sweep: no movement is owed."""
    assert judge(WELL, NOW).ready
    assert judge(WELL, NOW).warnings == []
    assert moves(WELL, NOW) == []


def test_database_that_is_away_is_one_reason() -> None:
    """Not five times the same words; nothing hangs, so a restart is not asked for."""
    facts = but(listen=broken(), claim=broken(), heartbeat=broken(), settle=broken(), unsettled=7, listening=False)
    (reason,) = reasons(facts)
    assert reason.startswith("PostgreSQL cannot be reached: connection refused;")
    assert "7 outcomes wait" in reason
    assert moves(facts, NOW) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"listening": False}, "LISTEN is down, rows are found by sweeping only: not active yet"),
        ({"listening": False, "listen": broken("no answer in time")}, "LISTEN is down.*: no answer in time"),
        ({"listen": Loop(moved=NOW - 12)}, "LISTEN is down.*: no sign of it for 12 s"),
        ({"heartbeat": Loop(moved=NOW - 11)}, "the ledger cannot be written, no heartbeat: no sign of it for 11 s"),
        ({"claim": broken("permission denied")}, "no row can be claimed: permission denied"),
        ({"sweep": Loop(moved=NOW - 50, due=NOW - 20)}, "not swept for missed rows: no sign of it for 20 s"),
        (
            {"settle": Loop(NOW - 99, due=NOW - 15), "unsettled": 3},
            "3 outcomes cannot be written: no sign of it for 15 s",
        ),
        ({"rows_fault": "row level security is on"}, "row level security is on"),
        ({"calm": False, "unsettled": 20_000, "settle": _MOVED}, "nothing is claimed until more of 20000 outcomes"),
        ({"lease_holds": False}, "the lease has run out"),
    ],
)
def test_each_standstill_is_told_in_words(changes: dict[str, Any], told: str) -> None:
    """One fault, one reason."""
    (reason,) = reasons(but(**changes))
    assert re.search(told, reason), reason


def test_standstill_that_waits_for_another_is_not_told_twice() -> None:
    """Who may not claim, since outcomes wait, is not at fault."""
    facts = but(calm=False, unsettled=20_000, settle=broken(), claim=Loop(moved=NOW - 300), sweep=Loop(moved=NOW - 300))
    assert [reason.code for reason in judge(facts, NOW).reasons] == ["settle", "outcomes"]
    assert moves(facts, NOW) == []


def test_only_what_neither_moves_nor_fails_hangs() -> None:
    """A session that fails again and again is doing what it can; silence beyond every bound is cured by a restart."""
    assert moves(but(listen=Loop(moved=NOW - 3600, failed=NOW - 40, error="x")), NOW) == []
    (hanging,) = moves(but(listen=Loop(moved=NOW - 3600, failed=NOW - 100, error="x")), NOW)
    assert str(hanging) == "the listen loop hangs: for 3600 s it has neither done anything nor failed"
    assert len(moves(but(settle=Loop(moved=NOW - 3600, due=NOW - 100), unsettled=1), NOW)) == 1
    assert moves(but(settle=Loop(moved=NOW - 3600)), NOW) == []


def test_pusher_beyond_its_timeout_hangs() -> None:
    """Busy is well, for as long as an attempt may take."""
    assert moves(but(lanes=[Lane("one", timeout=10, busy=1, busy_since=NOW - 11)]), NOW) == []
    facts = but(lanes=[Lane("one", timeout=10, busy=1, busy_since=NOW - 21)])
    (hanging,) = moves(facts, NOW)
    assert str(hanging) == "a pusher of one hangs: 21 s at one attempt, whose timeout is 10 s"
    assert reasons(facts) == [str(hanging)]


def test_jobs_that_no_idle_pusher_takes_hang() -> None:
    """Unless all are busy, or may not push."""
    lane = Lane("one", pushers=3, busy=2, queued=5, uncalled_since=NOW - 11)
    (hanging,) = moves(but(lanes=[lane]), NOW)
    assert str(hanging) == "the pushers of one hang: 5 rows wait, and none of them takes one"
    assert moves(but(lanes=[dataclasses.replace(lane, busy=3)]), NOW) == []
    assert moves(but(lanes=[lane], lease_holds=False), NOW) == []


def test_endpoint_that_fails_is_a_warning_only() -> None:
    """It hurts nobody but itself."""
    lane = Lane("one", failures=4, failing_since=NOW - 300, error="connect: connection refused", behind=True)
    verdict = judge(but(lanes=[lane, Lane("two", failures=1, failing_since=NOW)]), NOW)
    assert verdict.ready
    assert [str(each) for each in verdict.warnings] == [
        "endpoint one has not taken anything for 5 min, 4 attempts: connect: connection refused",
        "endpoint one does not keep up: its queue is full, rows wait outside",
    ]


def test_trigger_and_lesser_sessions_are_warnings() -> None:
    """Rows still come, within half a second."""
    verdict = judge(but(trigger_fault="the trigger is missing", others=[("bell", broken()), ("keep", _MOVED)]), NOW)
    assert verdict.ready
    assert [each.code for each in verdict.warnings] == ["trigger", "session"]


def test_refused_configuration_is_a_warning() -> None:
    """The old one is as good as it was; but whoever restarts now is in for a surprise."""
    verdict = judge(but(config_fault="config.toml:3: no"), NOW)
    assert verdict.ready
    assert list(map(str, verdict.warnings)) == [
        "the configuration was not reloaded, the old one stays: config.toml:3: no"
    ]


@pytest.mark.parametrize(
    ("facts", "ready", "told"),
    [
        (Facts(Phase.STARTING), False, "starting: the database is being looked over"),
        (Facts(Phase.STARTING, start=Loop(failed=1, error="refused")), False, "waiting for PostgreSQL: refused"),
        (Facts(Phase.STARTING, start=Loop(2, 1, "refused")), False, "starting: the database is being looked over"),
        (but(phase=Phase.STOPPING), False, "stopping: nothing new is claimed"),
        (Facts(Phase.DISABLED), True, "webhook.enabled is false: nothing is claimed, nothing is pushed"),
    ],
)
def test_other_phases_of_life_say_so(facts: Facts, ready: bool, told: str) -> None:  # noqa: FBT001
    """Never a reason to be started again."""
    assert judge(facts, NOW).ready is ready
    assert moves(facts, NOW) == []
    assert status(facts, NOW) == told


def test_status_is_one_live_line() -> None:
    """What `systemctl status` shows."""
    assert status(WELL, NOW) == "LISTEN ok · 2 endpoints · backlog 0 · last push 2 s ago"
    facts = but(pushed=None, lanes=[Lane("one", queued=4)], lease_holds=False)
    assert status(facts, NOW).startswith(
        "LISTEN ok · 1 endpoint · backlog 4 · nothing pushed yet · NOT READY: the lease"
    )
    assert "warning: the trigger" in status(but(trigger_fault="the trigger is missing"), NOW)


def test_spans_are_told_in_the_largest_unit_that_says_enough() -> None:
    """Two of it at the least."""
    assert [span(each) for each in (-1, 0.4, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d",
    ]  # fmt: skip


# a real daemon


async def answer(daemon: DaemonProcess, path: str) -> tuple[int, dict[str, Any]]:
    status_, body = await daemon.get(path)
    return status_, orjson.loads(body)


async def test_daemon_that_pushes_is_healthy_and_ready(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """From READY=1 on."""
    daemon = await start_daemon([receiver.url()])
    await receiver.until_accepted([database.insert()])
    assert await answer(daemon, "/readyz") == (200, {"ready": True, "reasons": [], "warnings": []})
    assert await answer(daemon, "/healthz") == (200, {"healthy": True, "reasons": []})


async def test_daemon_without_postgresql_is_healthy_and_not_ready(tmp_path: Path, receiver: Receiver) -> None:
    """A restart would not bring PostgreSQL back."""
    async with DaemonProcess(tmp_path, configuration(f"host={tmp_path} dbname=x", [receiver.url()])) as daemon:
        await daemon.line("session failed, trying again for ever session=start")
        code, body = await answer(daemon, "/readyz")
        assert code == 503
        assert body["reasons"][0].startswith("waiting for PostgreSQL: connection is bad: ")
        assert (await answer(daemon, "/healthz"))[0] == 200


async def test_disabled_daemon_is_ready_to_do_nothing(start_daemon: StartDaemon, receiver: Receiver) -> None:
    """It does what its configuration asks for, and says so."""
    daemon = await start_daemon([receiver.url()], ready=False, enabled=False)
    await daemon.ready()
    code, body = await answer(daemon, "/readyz")
    assert (code, body["ready"]) == (200, True)
    assert "webhook.enabled is false" in body["warnings"][0]


async def test_endpoint_that_takes_nothing_is_named(database: Database, start_daemon: StartDaemon) -> None:
    """In words, beside a daemon that is ready."""
    async with Receiver() as receiver:
        url = receiver.url("/gone")
    daemon = await start_daemon([url], retry_interval="10ms")
    database.insert()
    await daemon.line("推送失败")
    code, body = await answer(daemon, "/readyz")
    assert (code, body["ready"]) == (200, True)
    (warning,) = body["warnings"]
    assert warning.startswith(f"endpoint {url[7:]} has not taken anything for ")
    assert warning.endswith("4 attempts: connect: connection refused")
