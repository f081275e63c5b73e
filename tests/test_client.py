"""The running daemon, asked how it is."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from conftest import Database, StartDaemon, configuration
from test_cli import pushctl

from pushd.client import overview
from pushd.config import Server
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver
from pushd.errors import PushdError


async def config_for(daemon: DaemonProcess, folder: Path) -> Path:
    """A configuration by which this daemon is found."""
    port = urlsplit(await daemon.stats_url()).port
    path = folder / "asks.toml"
    path.write_text(configuration("", ["http://a.example"]).replace("port = 0", f"port = {port}"), "utf-8")
    return path


async def test_daemon_that_is_well_is_shown_so(
    database: Database, tmp_path: Path, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """With its endpoints and what they got; exit 0."""
    config = await config_for(await start_daemon([receiver.url()]), tmp_path)
    await receiver.until_accepted([database.insert()])
    await database.until("select count(*) from pushd.history where state = 'delivered'", [(1,)])
    done = pushctl("status", "-c", config, environ={"COLUMNS": "40"})
    assert done.returncode == 0, done.stderr
    assert "ready    yes" in done.stdout
    assert "LISTEN   ok; the doorbell is asleep" in done.stdout
    (endpoint,) = [line for line in done.stdout.splitlines() if line.startswith("well")]
    assert endpoint.split()[2:5] == ["1", "0", "0"]
    answer = json.loads(pushctl("status", "--json", "-c", config).stdout)
    assert answer["ready"]
    assert answer["endpoints"][0]["delivered"] == 1
    assert "ABC123" not in json.dumps(answer)


async def test_daemon_that_is_not_ready_says_why(tmp_path: Path, start_daemon: StartDaemon) -> None:
    """Exit 1, for scripts."""
    daemon = await start_daemon(["http://a.example"], ready=False, dsn="host=/nowhere")
    done = pushctl("status", "-c", await config_for(daemon, tmp_path))
    assert done.returncode == 1
    assert "ready    no" in done.stdout
    assert "waiting for PostgreSQL" in done.stdout
    assert "pushctl doctor says how" in done.stdout


async def test_endpoint_that_refuses_is_a_case_for_a_sample(
    tmp_path: Path, database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """It can be connected to, which is all that the doctor looks at unless it may push."""

    async def refuse(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        return web.Response(status=500)

    receiver.answer = refuse
    daemon = await start_daemon([receiver.url()], max_retries=2, retry_interval="10ms")
    database.insert()
    await database.until("select state from pushd.history", [("failed",)])
    done = pushctl("status", "-c", await config_for(daemon, tmp_path))
    assert "pushctl doctor --push says how" in done.stdout


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    """It says where it asked, and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    path = tmp_path / "config.toml"
    path.write_text(configuration("", ["http://a.example"]).replace("port = 0", f"port = {port}"), "utf-8")
    done = pushctl("status", "-c", path)
    assert done.returncode == 1
    assert done.stderr == (
        f"pushctl: no daemon answers at http://127.0.0.1:{port}, connection refused: see  systemctl status pushd\n"
    )


async def test_somebody_else_is_not_taken_for_a_daemon() -> None:
    """Whatever he answers."""

    async def answer(*_: object) -> web.Response:
        return web.json_response(["not", "us"])

    async with Receiver(answer) as other:
        port = urlsplit(other.url()).port or 0
        with pytest.raises(PushdError, match="is not this version of pushd"):
            await overview(Server(port=port))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_server_on_every_address_is_asked_on_loopback(host: str) -> None:
    """Where nobody is, that one refuses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PushdError, match=r"http://(127\.0\.0\.1|\[::1\]):\d+, c"):
        await overview(Server(host=host, port=port))


async def test_any_free_port_cannot_be_guessed() -> None:
    """Only the log knows it."""
    with pytest.raises(PushdError, match=r"server\.port is 0"):
        await overview(Server(port=0))
