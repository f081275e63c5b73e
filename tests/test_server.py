"""The HTTP server: who is answered, and with what headers."""

import asyncio
import logging

import aiohttp
import pytest
from aiohttp import web
from conftest import StartDaemon

from pushd import config
from pushd.demo.receiver import Receiver
from pushd.server import STATS_PATH, is_ours, serve

_NAMES = frozenset({"localhost", "pushd.example"})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "LOCALHOST:80", "pushd.example", "pushd.example.", None],
)
def test_addresses_and_our_names_are_answered(host: str | None) -> None:
    """No name at all comes from HTTP/1.0 pollers, never from a browser."""
    assert is_ours(host, _NAMES)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a@b:c"]
)
def test_other_names_are_not_answered(host: str) -> None:
    """They may have been made to lead here by whoever wants to read our page from a browser."""
    assert not is_ours(host, _NAMES)


@pytest.fixture
async def address(start_daemon: StartDaemon, receiver: Receiver) -> str:
    daemon = await start_daemon([receiver.url()], extra="", environ={"PUSHD_SERVER_NAMES": '["pushd.example"]'})
    return (await daemon.stats_url()).removesuffix(STATS_PATH)


async def test_foreign_name_is_refused_with_what_to_do(address: str) -> None:
    """Whatever the path."""
    async with aiohttp.ClientSession() as client:
        for path in ("/", STATS_PATH, "/healthz"):
            async with client.get(address + path, headers={"Host": "evil.example"}) as response:
                assert response.status == 421
                assert "server.names" in await response.text()
        async with client.get(address + STATS_PATH, headers={"Host": "pushd.example"}) as response:
            assert response.status == 200


async def test_nothing_but_reading_is_possible(address: str) -> None:
    """GET and HEAD; and the safe headers are on every answer, good or bad."""
    async with aiohttp.ClientSession() as client:
        for method, path, status in (
            ("GET", STATS_PATH, 200),
            ("HEAD", STATS_PATH, 200),
            ("POST", STATS_PATH, 405),
            ("DELETE", "/readyz", 405),
            ("GET", "/nothing/here", 404),
        ):
            async with client.request(method, address + path) as response:
                assert (method, path, response.status) == (method, path, status)
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["X-Frame-Options"] == "DENY"
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["Server"] == "pushd"
                assert "default-src 'none'" in response.headers["Content-Security-Policy"]
                assert "Access-Control-Allow-Origin" not in response.headers


async def test_what_anybody_sends_is_not_for_our_log_and_what_fails_here_is(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever scans ports must not fill it with tracebacks."""
    caplog.set_level(logging.INFO, "pushd")

    async def fail(_: web.Request) -> web.Response:
        raise ZeroDivisionError

    async with serve(config.Server(port=0), [web.get("/fail", fail)]):
        port = int(caplog.messages[-1].split("127.0.0.1:")[1].split("/")[0])
        caplog.clear()
        for noise in (
            b"\x16\x03\x01\r\n\r\n",
            b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            assert (await _answer(port, noise)).startswith(b"HTTP/1.0 400")
        assert caplog.messages == []
        assert (await _answer(port, b"GET /fail HTTP/1.0\r\nHost: localhost\r\n\r\n")).startswith(b"HTTP/1.0 500")
        (failure,) = caplog.records
        assert failure.exc_info
        assert failure.exc_info[0] is ZeroDivisionError


async def _answer(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer
