"""A sample: what a receiver gets for a row that there is not."""

import asyncio
import json
import re
import sys
from pathlib import Path

from aiohttp import web
from conftest import Database, configuration
from test_cli import completed, pushctl

from pushd.demo.receiver import Receiver


async def pushctl_beside(*arguments: str | Path) -> tuple[int, str]:
    """Run a command while receivers of this process answer it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pushd", *map(str, arguments)), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def configured(folder: Path, *urls: str, dsn: str = "host=/nowhere", **webhook: str) -> Path:
    path = folder / "config.toml"
    path.write_text(configuration(dsn, urls, **webhook), "utf-8")
    return path


async def test_sample_looks_like_a_row(tmp_path: Path, receiver: Receiver) -> None:
    """The same keys and types, a wallet code that tells, and a webhook-id that no delivery can have."""
    code, said = await pushctl_beside("send-test", "--json", "-c", configured(tmp_path, receiver.url()))
    assert code == 0, said
    (answer,) = json.loads(said)
    (arrival,) = receiver.arrivals
    assert (answer["accepted"], answer["status"], answer["error"]) == (True, 200, None)
    assert answer["webhook_id"] == arrival.webhook_id
    assert not re.fullmatch(r"-?\d+-\d+-\d+", arrival.webhook_id)
    body = arrival.body
    assert {key: type(value) for key, value in body.items()} == {
        "event_type": str,
        "timestamp": int,
        "version": str,
        "source": str,
        "data": dict,
        "metadata": dict,
    }
    assert body["source"] == "ocr_wallet_service"
    assert body["data"]["wallet_code"] == "PUSHD-TEST"
    assert "测试" in body["data"]["wx_nick_name"]
    assert isinstance(body["data"]["id"], int)
    assert body["data"]["create_time"] == body["timestamp"]
    assert arrival.headers["User-Agent"] == "wx-msg-chat-webhook/1.0"


async def test_sample_goes_to_all_or_to_one(tmp_path: Path, receiver: Receiver) -> None:
    """By the name of the endpoint; one that is not there is an error that names those that are."""
    path = configured(tmp_path, receiver.url("/a"), receiver.url("/b"))
    name = f"127.0.0.1:{receiver.port}/b"
    code, said = await pushctl_beside("send-test", "-c", path)
    assert (code, len(receiver.arrivals)) == (0, 2), said
    code, said = await pushctl_beside("send-test", "-c", path, "--endpoint", name)
    assert (code, len(receiver.arrivals)) == (0, 3), said
    done = pushctl("send-test", "-c", path, "--endpoint", "nobody")
    assert done.returncode == 1
    assert done.stderr.startswith("pushctl: no endpoint is named 'nobody'; the configuration has 127.0.0.1")
    assert completed(f"pushctl send-test -c {path} --endpoint {name[:-1]}", 5) == [name[:-1] + "a", name]


async def test_one_that_does_not_accept_is_exit_1(tmp_path: Path, receiver: Receiver) -> None:
    """The others are told of all the same, at the same time."""

    async def never(*_: object) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with Receiver(never) as silent:
        path = configured(tmp_path, silent.url("/s"), "http://127.0.0.1:1/c", receiver.url("/a"), timeout="1s")
        code, said = await pushctl_beside("send-test", "-c", path)
    assert code == 1
    _, *lines = said.splitlines()
    assert [line.split()[0] for line in lines] == ["refused", "refused", "accepted"]
    assert lines[0].endswith("no whole answer within 1 s")
    assert lines[1].endswith("connect: connection refused")


async def test_ledger_hears_nothing_of_it(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    """It does not even need a database."""
    await pushctl_beside("send-test", "-c", configured(tmp_path, receiver.url(), dsn=database.daemon_dsn))
    assert len(receiver.arrivals) == 1
    assert database.execute("select count(*) from pushd.delivery") == [(0,)]
    assert database.execute("select count(*) from pushd.endpoint") == [(0,)]
