"""Blows at PostgreSQL, and at the way to it."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence

import psycopg
from behaviours import slow
from proxy import Chosen
from strike_daemon import ONE
from world import SETTLE_BOUND, World

from pushd.demo.receiver import accept

_LOST_BY_CRASH = 1.0  # seconds of commits: three times wal_writer_delay, and a busy machine
_NOTICED_WITHIN = 10.0
_DEAF_WAIT = 2.0  # seconds: a sweep every half second, on two busy cores
_SWEEP_WAIT = 7.0  # a sweep every five
_BACK_WITHIN = 20.0
_REPLACED_WITHIN = 60.0

_WORKING = {"pushd claim", "pushd settle"}
_BURST = "insert into ocr_wallet_info (wallet_code) select 'BURST' from generate_series(1, 150)"
_SESSIONS = """
    select application_name, pid
    from pg_stat_activity
    where datname = current_database() and application_name like 'pushd %'
    order by application_name
"""


async def terminate_sessions(world: World, *, long: bool) -> None:
    """pg_terminate_backend of each of the daemon's sessions in turn: each comes back, and nothing is repeated."""
    names = {name for name, _ in await world.execute(_SESSIONS)}
    if len(names) < 4:
        world.remarks.append(f"sessions not recognised: {names}")
    for _ in range(3 if long else 1):
        for name in sorted(names):
            await world.writers.until_committed(5)
            with world.blow():
                await _terminate(world, name)
    for _ in range(3 if long else 1):
        with world.blow():  # all at once
            await world.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and application_name like 'pushd %'"
            )
        await world.steady()


async def _terminate(world: World, name: str) -> None:
    """End a session and wait for its successor."""
    before = {pid for each, pid in await world.execute(_SESSIONS) if each == name}
    for pid in before:
        await world.execute("select pg_terminate_backend(%s)", (pid,))
    async with asyncio.timeout(_BACK_WITHIN):
        while not {pid for each, pid in await world.execute(_SESSIONS) if each == name} - before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # another session's coming cannot be waited for


async def crash(world: World, *, long: bool) -> None:
    """PostgreSQL's immediate stop, and a start: the last claims and outcomes are gone with it."""
    for _ in range(4 if long else 2):
        await world.steady()
        await _crash(world, 3.0 if long else 1.0)


async def _crash(world: World, away: float) -> None:
    cluster = world.place.cluster
    assert cluster is not None, "only a server of one's own may be touched"
    at = time.time()
    with world.blow():
        await asyncio.to_thread(cluster.stop, signal.SIGQUIT)
        await asyncio.sleep(away)
        await asyncio.to_thread(cluster.start)
    # What is in memory is pushed also while PostgreSQL is away, under a claim of which it may know nothing any more.
    async with asyncio.timeout(_BACK_WITHIN):
        while not {name for name, _ in await world.execute(_SESSIONS)} >= _WORKING:  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.05)
    end = time.time() + SETTLE_BOUND
    world.repeatable(at - _LOST_BY_CRASH, end, "PostgreSQL lost its last commits", before=at + 0.5)


async def crash_when_busy(world: World, *, long: bool) -> None:
    """As before, while a slow receiver keeps rows in memory whose claims PostgreSQL forgets: they are known to us."""
    for _ in range(3 if long else 1):
        began = asyncio.Event()
        world.receivers[0].answer = slow(0.4, began)
        async with world.connect() as connection:
            await connection.execute(_BURST)
            await began.wait()  # claimed a moment ago, which no other commit has made durable yet
            await _crash(world, 2.0)
        await asyncio.sleep(6.0)  # the receiver stays slow while a sweep finds what has lost its claim
        world.receivers[0].answer = accept
        await world.steady()


async def freeze_server(world: World, *, long: bool) -> None:
    """SIGSTOP of all of the server's processes, beyond every bound that the daemon sets its statements."""
    pids: list[int] = []
    with world.blow():
        try:
            while new := [pid for pid in world.place.processes() if pid not in pids]:  # it may have forked meanwhile
                for pid in new:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                pids += new
            await asyncio.sleep(25.0 if long else 14.0)
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


async def freeze_connections(world: World, *, long: bool) -> None:
    """The network between daemon and PostgreSQL takes everything and passes nothing on, then all of it at once."""
    for seconds in (2.0, 14.0, 25.0) if long else (14.0,):
        with world.blow():
            world.proxy.freeze()
            await asyncio.sleep(seconds)
            world.proxy.thaw()
        await world.steady()


async def cut_connections(world: World, *, long: bool) -> None:
    """RST on all connections, and for a while nobody listens there."""
    for _ in range(8 if long else 3):
        await world.writers.until_committed(world.chance.randint(1, 20))
        with world.blow():
            world.proxy.refuse()
            world.proxy.cut()
            await asyncio.sleep(1.0)
            await world.proxy.take_up()
        await world.steady(5)


async def delay_connections(world: World, *, long: bool) -> None:
    """A slow line to PostgreSQL, 100 ms there and back."""
    world.proxy.delay_up = world.proxy.delay_down = 0.05
    with world.blow():
        await world.steady(1000 if long else 200)
    world.proxy.delay_up = world.proxy.delay_down = 0.0


async def half_open_listen(world: World, *, long: bool) -> None:
    """Only the listening connection dies without a word: noticed within 10 s, and rows arrive meanwhile."""
    for _ in range(2 if long else 1):
        with world.blow():
            seconds = await _half_open(world, "listen")
            if seconds > _NOTICED_WITHIN:
                world.remarks.append(f"half-open LISTEN was noticed after {seconds:.1f} s")
            world.proxy.thaw()
        await world.steady()


async def deaf(world: World, *, long: bool) -> None:
    """LISTEN is down and cannot come back, but SQL works: rows are found by sweeping twice a second."""
    for session, bound in (("listen", _DEAF_WAIT), ("bell", _SWEEP_WAIT)):
        await world.steady()
        with world.blow():
            world.proxy.refuse()
            if not world.proxy.cut(spoken_by(session)):
                world.remarks.append(f"no connection of session {session} was found")
            rows = await world.writers.until_committed(600 if long else 240)
            await world.receivers[0].until_accepted(rows)
            await world.proxy.take_up()
        if (longest := world.longest_wait(rows, world.receivers[0])) > bound:
            world.remarks.append(f"without {session} a row waited {longest:.1f} s")


async def lost_answers(world: World, *, long: bool) -> None:
    """Claims and outcomes are committed, but the connection ends before the answer is there; none is repeated."""
    world.proxy.delay_down = 0.4
    for _ in range(8 if long else 3):
        for session in ("claim", "settle"):
            await world.writers.until_committed(10)
            await asyncio.sleep(world.chance.uniform(0.05, 0.4))
            with world.blow():
                if not world.proxy.cut(spoken_by(session)):
                    world.remarks.append(f"no connection of session {session} was found")
            await world.steady(5)
    world.proxy.delay_down = 0.0


async def late_claim(world: World, *, long: bool) -> None:
    """A claim is held up in the network, given up by its daemon, and executed after all when nobody waits for it."""
    await _late(world, "claim", (15.0,) if long else (0.0,))


async def late_settle(world: World, *, long: bool) -> None:
    """As before, with outcomes: they come twice, in any order."""
    await _late(world, "settle", (15.0,) if long else (0.0,))


async def _late(world: World, session: str, holds: Sequence[float]) -> None:
    """Let go what was held up so many seconds after the session's successor is at work."""
    for seconds in holds:
        with world.blow():
            await _half_open(world, session)
            await world.steady()
            await asyncio.sleep(seconds)
            world.proxy.thaw()
        await world.steady()


async def _half_open(world: World, session: str) -> float:
    """Freeze the connection of one session, wait for its successor, and answer how long that took."""
    before = (await world.daemons[ONE].stats())["reconnects"]
    begin = time.monotonic()
    if not world.proxy.freeze(spoken_by(session)):
        world.remarks.append(f"no connection of session {session} was found")
    async with asyncio.timeout(_REPLACED_WITHIN):
        while (await world.daemons[ONE].stats())["reconnects"] == before:  # noqa: ASYNC110 (no event tells)
            await asyncio.sleep(0.1)
    return time.monotonic() - begin


async def drop_trigger(world: World, *, long: bool) -> None:
    """Without the trigger rows are found by sweeping; unwatched they wait; watched again they arrive as before."""
    with world.blow():
        await _as_owner(world, "drop trigger pushd_ring on ocr_wallet_info")
        await world.steady(100 if long else 20)
        await _as_owner(world, "select pushd.unwatch('ocr_wallet_info')")
        await world.writers.until_committed(200 if long else 50)
        await _as_owner(world, "select pushd.watch('ocr_wallet_info')")


async def _as_owner(world: World, query: str) -> None:
    """Run what needs a lock that waits half a second for writers at the most: as the DBA would, try again."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                await world.execute(query)
                return


def spoken_by(session: str) -> Chosen:
    """The links of this session, by what it said when it came."""
    return lambda link: f"pushd {session}\0".encode() in link.greeting
