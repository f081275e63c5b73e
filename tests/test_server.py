"""The HTTP server: who is answered, and with what headers."""

import aiohttp
import pytest
from conftest import StartDaemon

from pushd.demo.receiver import Receiver
from pushd.server import STATS_PATH, is_ours

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
