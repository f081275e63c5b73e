"""The receivers that the specification writes down, in real Flask and real Express, take what is pushed."""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conftest import Database, StartDaemon

FOLDER = Path(__file__).parent / "receivers"


@contextlib.asynccontextmanager
async def running(*command: str) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The receiver's URL, and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=FOLDER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            word, port = (await process.stdout.readline()).split()
        assert word == b"port"
        yield f"http://127.0.0.1:{int(port)}/webhook/ocr-wallet", process.stdout
    finally:
        process.kill()
        await process.wait()


@pytest.fixture(scope="session")
def express() -> list[str]:
    """The command that runs the Express receiver, its packages installed by their lock."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("Express needs npm and node, and they are not here")
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, capture_output=True, timeout=300)
    return [node, "express_receiver.js"]


async def takes_a_row(command: list[str], database: Database, start_daemon: StartDaemon) -> None:
    async with running(*command) as (url, said):
        daemon = await start_daemon([url])
        database.insert(wallet_code="ABC123DEF456", wx_nick_name="张三 🎉", group_id="group123@chatroom")
        async with asyncio.timeout(10):
            line = (await said.readline()).decode("utf-8")
        words, told = line.split(": ", 1)
        assert words == "收到OCR钱包数据"
        assert {"wallet_code": "ABC123DEF456", "wx_nick_name": "张三 🎉"}.items() <= json.loads(told).items()
        await database.until("select state, attempts, status from pushd.history", [("delivered", 1, 200)])
        assert await daemon.stop() == 0


async def test_flask_receiver_takes_a_row(database: Database, start_daemon: StartDaemon) -> None:
    """request.json, and an answer by jsonify."""
    await takes_a_row([sys.executable, "flask_receiver.py"], database, start_daemon)


async def test_express_receiver_takes_a_row(express: list[str], database: Database, start_daemon: StartDaemon) -> None:
    """express.json(), and an answer by res.json."""
    await takes_a_row(express, database, start_daemon)
