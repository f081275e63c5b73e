"""The proxy does to a connection exactly what it says."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from proxy import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of an echo."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1024):
                writer.write(chunk.upper())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Proxy(("127.0.0.1", server.sockets[0].getsockname()[1])) as proxy:
        yield proxy
    server.close()


@contextlib.asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(streams: Streams, text: bytes, within: float = 2.0) -> bytes:
    reader, writer = streams
    writer.write(text)
    async with asyncio.timeout(within):
        return await reader.readexactly(len(text))


async def test_left_alone_it_passes_everything_on(proxy: Proxy) -> None:
    """Both directions, and who speaks is overheard."""
    async with connected(proxy) as streams:
        assert await ask(streams, b"hello") == b"HELLO"
        assert [link.greeting for link in proxy.links] == [b"hello"]


async def test_end_of_one_side_reaches_the_other(proxy: Proxy) -> None:
    """EOF goes through, and the link is forgotten."""
    async with connected(proxy) as (reader, writer):
        assert await ask((reader, writer), b"x") == b"X"
        writer.write_eof()
        async with asyncio.timeout(2):
            assert await reader.read() == b""


async def test_cut_resets(proxy: Proxy) -> None:
    """The client gets RST, not an orderly end."""
    async with connected(proxy) as streams:
        await ask(streams, b"x")
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            await ask(streams, b"x")


async def test_frozen_connection_takes_and_passes_nothing_on_until_thawed(proxy: Proxy) -> None:
    """More than any socket buffer holds is taken at once; then all of it comes."""
    text = b"a" * 20_000_000
    async with connected(proxy) as (reader, writer):
        await ask((reader, writer), b"x")
        assert proxy.freeze() == 1
        writer.write(text)
        async with asyncio.timeout(5):
            await writer.drain()
            while writer.transport.get_write_buffer_size():  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        proxy.thaw()
        async with asyncio.timeout(10):
            assert await reader.readexactly(len(text)) == text.upper()


async def test_freezing_some_leaves_the_others_alone(proxy: Proxy) -> None:
    """A choice strikes only what it chooses, and nobody who comes later."""
    async with connected(proxy) as ours, connected(proxy) as others:
        await ask(ours, b"listen")
        await ask(others, b"other")
        assert proxy.freeze(lambda link: b"listen" in link.greeting) == 1
        assert await ask(others, b"go on") == b"GO ON"
        async with connected(proxy) as later:
            assert await ask(later, b"listen") == b"LISTEN"
        with pytest.raises(TimeoutError):
            await ask(ours, b"x", within=0.1)


async def test_what_was_held_back_arrives_though_its_sender_has_gone() -> None:
    """As in a network whose packets are late: a statement may be executed long after its client gave up."""
    heard = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with Proxy(("127.0.0.1", server.sockets[0].getsockname()[1])) as proxy:
        proxy.freeze()
        async with connected(proxy) as (_, writer):
            writer.write(b"too late")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await asyncio.shield(heard)
        proxy.thaw()
        async with asyncio.timeout(2):
            assert await heard == b"too late"
    server.close()


async def test_refusing_is_undone_on_the_same_port(proxy: Proxy) -> None:
    """Connections there are go on meanwhile."""
    async with connected(proxy) as streams:
        await ask(streams, b"x")
        proxy.refuse()
        assert await ask(streams, b"still") == b"STILL"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        await proxy.take_up()
        async with connected(proxy) as again:
            assert await ask(again, b"again") == b"AGAIN"


async def test_each_direction_can_be_delayed(proxy: Proxy) -> None:
    """The delays add up to the round trip."""
    proxy.delay_up, proxy.delay_down = 0.1, 0.2
    async with connected(proxy) as streams:
        before = time.monotonic()
        await ask(streams, b"x")
        assert 0.3 <= time.monotonic() - before < 1.0


async def test_absent_upstream_resets_the_client() -> None:
    """As a load balancer would."""
    async with Proxy(("127.0.0.1", 1)) as nowhere, connected(nowhere) as streams:
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await ask(streams, b"x")
