"""What stops pushing turns /readyz red within 15 s, in words, and it turns green by itself; /healthz asks for no restart."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from place import own_server, shared_server
from strike_daemon import ONE
from strike_database import spoken_by
from world import Setting, World

from pushd.demo.receiver import accept

_RED_WITHIN = 15.0  # seconds
_GREEN_WITHIN = 25.0  # the longest wait between two attempts to connect, a connect that hangs, and a sweep

Wound = Callable[[World], AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def server_frozen(world: World) -> AsyncIterator[None]:
    pids: list[int] = []
    try:
        while new := [pid for pid in world.place.processes() if pid not in pids]:  # it may have forked meanwhile
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            pids += new
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def server_stopped(world: World) -> AsyncIterator[None]:
    cluster = world.place.cluster
    assert cluster is not None
    await asyncio.to_thread(cluster.stop)
    yield
    await asyncio.to_thread(cluster.start)


@contextlib.asynccontextmanager
async def network_frozen(world: World) -> AsyncIterator[None]:
    world.proxy.freeze()
    yield
    world.proxy.thaw()


@contextlib.asynccontextmanager
async def sessions_cut(world: World) -> AsyncIterator[None]:
    world.proxy.refuse()
    world.proxy.cut()
    yield
    await world.proxy.take_up()


def session_half_open(name: str) -> Wound:
    """Its connection is silent, and it gets no other."""

    @contextlib.asynccontextmanager
    async def wound(world: World) -> AsyncIterator[None]:
        world.proxy.refuse()
        assert world.proxy.freeze(spoken_by(name))
        yield
        world.proxy.thaw()
        await world.proxy.take_up()

    return wound


def session_deaf(name: str) -> Wound:
    """Its connection is cut, and it gets no other."""

    @contextlib.asynccontextmanager
    async def wound(world: World) -> AsyncIterator[None]:
        world.proxy.refuse()
        assert world.proxy.cut(spoken_by(name))
        yield
        await world.proxy.take_up()

    return wound


@contextlib.asynccontextmanager
async def unwatched(world: World) -> AsyncIterator[None]:
    """The daemon may not read the table any more."""
    await world.execute("revoke select on ocr_wallet_info from pushd_daemon")
    yield
    await world.execute("select pushd.watch('ocr_wallet_info')")


@pytest.mark.parametrize(
    ("wound", "own", "told"),
    [
        pytest.param(
            server_frozen, True, "PostgreSQL cannot be reached|LISTEN is down|no heartbeat", id="server frozen"
        ),
        pytest.param(server_stopped, True, "PostgreSQL cannot be reached", id="server stopped"),
        pytest.param(
            network_frozen, False, "PostgreSQL cannot be reached|LISTEN is down|no heartbeat", id="network frozen"
        ),
        pytest.param(sessions_cut, False, "PostgreSQL cannot be reached", id="sessions cut"),
        pytest.param(session_half_open("listen"), False, "LISTEN is down", id="LISTEN half open"),
        pytest.param(session_deaf("listen"), False, "LISTEN is down", id="LISTEN refused"),
        pytest.param(session_half_open("claim"), False, "no row can be claimed", id="claims half open"),
        pytest.param(session_half_open("settle"), False, "outcomes cannot be written", id="outcomes half open"),
        pytest.param(session_half_open("heartbeat"), False, "no heartbeat", id="heartbeat half open"),
        pytest.param(unwatched, False, "permission denied", id="rights taken away"),
    ],
)
async def test_readiness(wound: Wound, own: bool, told: str, server: str, tmp_path: Path) -> None:  # noqa: FBT001
    """A daemon at work, struck for real."""
    with own_server() if own else shared_server(server) as place:
        async with World(place, tmp_path, Setting(rate=10.0, proxied=not own)) as world:
            await world.steady()
            assert await _readiness(world) == ""
            async with wound(world):
                await _until(world, told, _RED_WITHIN)
            await _until(world, "^$", _GREEN_WITHIN)
            await world.steady()


async def test_daemon_that_was_frozen_is_well_again(server: str, tmp_path: Path) -> None:
    """Beyond its lease; thawed, it does not take the time that has passed for a loop that hangs."""
    with shared_server(server) as place:
        async with World(place, tmp_path, Setting(rate=10.0)) as world:
            await world.steady()
            world.daemons[ONE].send(signal.SIGSTOP)
            await asyncio.sleep(14.0)
            world.daemons[ONE].send(signal.SIGCONT)
            await _until(world, "^$", _GREEN_WITHIN)
            await world.steady()


async def test_receiver_that_is_down_is_no_reason(server: str, tmp_path: Path) -> None:
    """It hurts only itself: a warning that names it, which goes when it takes rows again."""
    with shared_server(server) as place:
        async with World(place, tmp_path, Setting(rate=10.0, receivers=2)) as world:
            await world.steady()
            world.receivers[0].answer = _refuse
            await _until(world, "^$", 1.0)
            await _until_warned(world, f"endpoint 127.0.0.1:{world.receivers[0].port}/webhook has not taken anything")
            assert await _readiness(world) == ""
            world.receivers[0].answer = accept
            await _until_warned(world, "^$")


async def _refuse(*_: object) -> web.StreamResponse:
    return web.json_response({}, status=500)


async def _until_warned(world: World, told: str) -> None:
    async with asyncio.timeout(_GREEN_WITHIN):
        while True:
            _, body = await world.daemons[ONE].get("/readyz")
            if re.search(told, "; ".join(orjson.loads(body)["warnings"])):
                return
            await asyncio.sleep(0.1)


async def _until(world: World, told: str, within: float) -> None:
    """Wait until /readyz says this; /healthz is well all the time."""
    said = ""
    try:
        async with asyncio.timeout(within):
            while not re.search(told, said := await _readiness(world)):
                status, body = await world.daemons[ONE].get("/healthz")
                assert status == 200, body
                await asyncio.sleep(0.1)  # nobody is told when it changes
    except TimeoutError:
        pytest.fail(f"within {within:g} s /readyz did not say {told!r}, but {said!r}\n{world.told()}")


async def _readiness(world: World) -> str:
    """The reasons, "" when ready."""
    status, body = await world.daemons[ONE].get("/readyz")
    answer = orjson.loads(body)
    assert (status == 200) is answer["ready"] is (not answer["reasons"])
    return "; ".join(answer["reasons"])
