"""The unit file, and the protocol that it counts on."""

import asyncio
import configparser
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import Database, StartDaemon, configuration, connect

from pushd.announcer import watchdog_seconds
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver
from pushd.systemd import notify

UNIT = Path(__file__).parent.parent / "systemd" / "pushd.service"


def plain(states: list[str]) -> list[str]:
    """What the manager was told of the state alone, not how it goes."""
    return [state for state in states if not state.startswith(("STATUS=", "EXTEND_TIMEOUT_USEC="))]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)  # a list may stand on several lines
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's keys have capitals
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


def test_unit_says_what_the_daemon_keeps() -> None:
    """Ready when it says so, under its own user, started again unless it would be in vain."""
    service = unit()["Service"]
    assert service["Type"] == "notify"
    assert service["User"] == "pushd"
    assert service["ExecStart"].endswith("python -m pushd run -c /etc/pushd/config.toml")
    assert "-HUP" in service["ExecReload"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "78"
    assert int(service["LimitNOFILE"]) >= 50 * 1000  # many endpoints with the most concurrent_pushers that one may have


def test_unit_is_clean_to_systemd(tmp_path: Path) -> None:
    """systemd-analyze verify has nothing to say, once the interpreter is one that is here."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / "pushd.service"
    copy.write_text(UNIT.read_text("utf-8").replace("/opt/pushd/bin/python", sys.executable), "utf-8")
    done = subprocess.run([verify, "verify", str(copy)], capture_output=True, text=True, check=False)
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if "pushd" in line]
    assert (done.returncode, about_us) == (0, [])


async def test_ready_comes_with_listen_and_not_before(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """When systemd hears READY=1, PostgreSQL has our LISTEN."""
    daemon = await start_daemon([receiver.url()], ready=False)
    await daemon.ready()
    database.execute("select pg_notify('pushd_ocr_wallet_info', 'hello')")
    await daemon.line("notification ignored, it is not from pushd's trigger", within=2)
    assert await daemon.stop() == 0
    assert plain(daemon.states) == ["READY=1", "STOPPING=1"]


async def test_without_postgresql_it_waits_and_is_not_ready(tmp_path: Path, receiver: Receiver) -> None:
    """It never exits for that; statistics are served; asked to stop, it stops at once."""
    config = configuration(f"host={tmp_path} dbname=x", [receiver.url()])
    async with DaemonProcess(tmp_path, config) as daemon:
        await daemon.line("WARN  session failed, trying again for ever session=start")
        assert (await daemon.stats())["listening"] is False
        assert plain(daemon.states) == []
        assert "EXTEND_TIMEOUT_USEC=15000000" in await daemon.told("STATUS=waiting for PostgreSQL: .*No such file")
        assert await daemon.stop(within=3) == 0


async def test_status_is_one_live_line(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """What `systemctl status` shows."""
    daemon = await start_daemon([receiver.url()])
    await daemon.told("STATUS=LISTEN ok · 1 endpoint · backlog 0 · nothing pushed yet$")
    await receiver.until_accepted([database.insert()])
    await daemon.told(r"STATUS=LISTEN ok · 1 endpoint · backlog 0 · last push \d s ago$")


async def test_watchdog_is_told_while_all_moves(start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Several times within the interval, from the start on, and by the process that was asked."""
    daemon = await start_daemon([receiver.url()], environ={"WATCHDOG_USEC": "600000"})
    await daemon.told("WATCHDOG=1", times=6, within=5)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_watchdog_is_for_whom_it_names(environ: dict[str, str], seconds: float | None) -> None:
    """As sd_watchdog_enabled(3) has it."""
    assert watchdog_seconds(environ, pid=7) == seconds


async def test_second_signal_ends_it_now(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """The first would wait for a receiver that never answers."""

    async def silence(*_: object) -> None:
        await asyncio.Event().wait()

    receiver.answer = silence  # type: ignore[assignment]  # it never gets as far as an answer
    daemon = await start_daemon([receiver.url()], timeout="60s", extra='[daemon]\nshutdown_timeout = "1h"')
    database.insert()
    await database.until("select count(*) from pushd.delivery", [(1,)])
    daemon.send(signal.SIGTERM)
    await daemon.line("stopping")
    daemon.send(signal.SIGTERM)
    assert await daemon.ended(within=5) == 1
    assert daemon.lines[-1] == "pushctl: stopped at once; what was under way is taken up at the next start"


@pytest.mark.parametrize("abstract", [False, True])
def test_state_is_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """To a path, or to a name in Linux's abstract namespace."""
    address = f"\0pushd-test-{tmp_path}"[:100] if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", re.sub("^\0", "@", address))
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_manager_that_is_not_there_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by hand, or by a manager that has gone."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


def test_inserts_do_not_need_the_daemon(database: Database) -> None:
    """No daemon, no lock held, no wait: a statement timeout that any wait would break."""
    with connect(database.dsn) as writer:
        writer.execute("set statement_timeout = '250ms'")
        for _ in range(20):
            writer.execute("insert into ocr_wallet_info (wallet_code) values ('A')")


def test_busy_manager_is_waited_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is told once must not be lost for want of room in its queue; but nobody waits long for a dead one."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full,
    ):
        manager.bind(str(tmp_path / "notify"))
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                full.sendto(b"X=1", str(tmp_path / "notify"))
        notify("READY=1")  # in vain, and it comes back
        reader = threading.Timer(0.1, manager.recv, [100])
        reader.start()
        notify("READY=1")
        reader.join()
        manager.setblocking(False)
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(manager.recv(100))
        assert heard.count(b"READY=1") == 1
