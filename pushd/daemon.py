"""The life of the daemon: what is opened first is closed last, and nesting is the order of shutdown."""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

import psycopg

from pushd import __version__, answers
from pushd.announcer import announce
from pushd.config import Config
from pushd.errors import PushdError
from pushd.facts import Phase
from pushd.heartbeat import Heartbeat
from pushd.lease import Lease
from pushd.listener import Listener, call
from pushd.log import pairs
from pushd.parts import assemble
from pushd.pipeline import Pipeline
from pushd.pool import Pool
from pushd.postgres import Session, brief, connect
from pushd.preparation import Prepared, prepare
from pushd.reload import Reload
from pushd.server import serve
from pushd.settler import Settler
from pushd.stats import EndpointStats, Stats
from pushd.systemd import notify
from pushd.vitals import Vitals

log = logging.getLogger(__name__)

_LET_GO_BOUND = 10.0  # seconds that cancelled tasks may take to end
_LEAVE_BOUND = 2.0  # seconds to tell the other daemons
_HAND_OVER_BOUND = 10.0  # seconds for the last outcomes; what is not written is recovered at the next start


async def run(config: Config, read: Callable[[], Config]) -> None:
    """Run until asked to stop, and `read` the configuration anew when asked to.

    PushdError when it cannot start, CancelledError when asked twice to stop.
    """
    daemon = Daemon(config, read)
    daemon.heed_signals()
    log.info("starting %s", pairs(version=__version__, name=config.daemon.name, endpoints=len(config.webhook.urls)))
    async with serve(config.server, answers.routes(daemon.vitals, config.daemon.name)):
        await daemon.run()
    log.info("stopped")


class Daemon:
    """Everything that runs, put together; `vitals` may be asked at any time."""

    def __init__(self, config: Config, read: Callable[[], Config]) -> None:
        self._config = config
        self._dsn = config.database.dsn.get_secret_value()
        self._stopping = asyncio.Event()  # set by the first signal
        self._reload_wanted = asyncio.Event()
        self._stats = Stats({endpoint.name: EndpointStats() for endpoint in config.webhook.endpoints})
        self._reload = Reload(config, read, self._stats)
        self.vitals = Vitals(self._stats)

    def heed_signals(self) -> None:
        """Stop at the first SIGTERM or SIGINT; the second cancels the task that called this. SIGHUP reloads."""
        main = asyncio.current_task()

        def stop() -> None:
            if self._stopping.is_set() and main is not None:
                main.cancel()
            self._stopping.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)

    async def run(self) -> None:
        """Push until asked to stop; without `webhook.enabled`, only be there."""
        announcing = asyncio.create_task(announce(self.vitals), name="announce")
        try:
            if self._config.webhook.enabled:
                await self._push()
            else:
                await self._be_there()
        finally:
            await _let_go([announcing])

    async def _be_there(self) -> None:
        log.info("webhook.enabled is false: nothing is claimed")
        self.vitals.phase = Phase.DISABLED
        notify("READY=1")
        reloading = asyncio.create_task(self._reload_when_asked(None), name="reload")
        try:
            await self._stopping.wait()
        finally:
            await _let_go([reloading])

    async def _push(self) -> None:
        prepared = await self._unless_stopping(self._session("start").run(lambda each: prepare(each, self._config)))
        if prepared is None:
            return
        try:
            await self._live(prepared)
        except ExceptionGroup as failures:
            expected, others = failures.split(PushdError)
            if expected is None or others is not None:
                raise
            raise expected.exceptions[0] from None

    def _session(self, purpose: str, *, blocking: bool = False) -> Session:
        session = self.vitals.sessions[purpose] = Session(
            self._dsn, purpose, self._stats.reconnected, blocking=blocking
        )
        return session

    async def _unless_stopping(self, preparing: Coroutine[Any, Any, Prepared]) -> Prepared | None:
        """Wait for the database, but no longer than until we are asked to stop."""
        both = [
            prepared := asyncio.create_task(preparing, name="prepare"),
            asyncio.create_task(self._stopping.wait(), name="stop"),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _let_go(both)
        return None if prepared.cancelled() else prepared.result()

    async def _live(self, prepared: Prepared) -> None:
        parts = assemble(self._config, prepared, self._stats)
        async with asyncio.TaskGroup() as tasks:
            pool = Pool(parts.pipeline, tasks)
            await pool.apply({prepared.endpoint_ids[each.name]: each for each in self._config.webhook.endpoints})
            self.vitals.run(parts)
            finding = [
                tasks.create_task(self._session("listen").run(parts.listener.listen), name="listen"),
                tasks.create_task(self._session("bell", blocking=True).run(parts.doorbell.keep), name="bell"),
                tasks.create_task(self._session("claim").run(parts.claimer.run), name="claim"),
                tasks.create_task(self._session("sweep").run(parts.sweeper.run), name="sweep"),
                tasks.create_task(self._session("keep").run(parts.housekeeper.keep), name="keep"),
                tasks.create_task(_say_ready(parts.listener, parts.lease), name="ready"),
                tasks.create_task(self._reload_when_asked(pool), name="reload"),
            ]
            settling = [
                tasks.create_task(self._session("settle").run(parts.settler.settle), name="settle"),
                tasks.create_task(self._session("heartbeat").run(parts.heartbeat.beat), name="heartbeat"),
            ]
            # What is there now stays: the collector need not look at it again and again while rows go by.
            gc.collect()
            gc.freeze()
            await self._stopping.wait()

            self.vitals.phase = Phase.STOPPING
            notify("STOPPING=1")
            # 1. Nothing new is claimed, and the other daemons do not leave it to us any more.
            await _let_go(finding)
            await self._call_the_others(prepared, parts.heartbeat)
            # 2. What is claimed has its time to end well.
            log.info(
                "stopping, finishing what is claimed %s", pairs(limit=f"{self._config.daemon.shutdown_timeout:g}s")
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.daemon.shutdown_timeout):
                    await parts.pipeline.drained()
            # 3. Then it is broken off, and outcomes and claims go back to the ledger.
            await _let_go([*pool.pushers, *settling])
            await _let_go(pool.clients)
            await self._hand_over(prepared, parts.settler, parts.pipeline)

    async def _reload_when_asked(self, pool: Pool | None) -> NoReturn:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
            await self._reload.reload(pool)
            notify("READY=1")

    async def _call_the_others(self, prepared: Prepared, heartbeat: Heartbeat) -> None:
        """Have the other daemons look for rows; without them, or without a database, nothing depends on it."""
        with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
            await heartbeat.leave(_LEAVE_BOUND)
            async with asyncio.timeout(_LEAVE_BOUND), connect(self._dsn, "stop") as connection:
                await call(connection, prepared.source.channel)

    async def _hand_over(self, prepared: Prepared, settler: Settler, pipeline: Pipeline) -> None:
        """Write the last outcomes and give up the claims that have none, so that they can be taken at once."""
        left = pipeline.abandon()
        try:
            async with asyncio.timeout(_HAND_OVER_BOUND), connect(self._dsn, "stop") as connection:
                await settler.flush(connection)
                # Whatever is still in our name now has no outcome: also a claim whose answer came too late for us.
                given_up = await prepared.ledger.retire(connection)
                await call(connection, prepared.source.channel)
        except (psycopg.Error, OSError, TimeoutError) as error:
            if left or len(settler):
                log.warning(
                    "not all outcomes are written, those rows will be pushed again by whoever comes next %s",
                    pairs(outcomes=len(settler), claims=left, error=brief(error)),
                )
            else:
                log.info("PostgreSQL is away, and nothing was left to be written %s", pairs(error=brief(error)))
        else:
            log.info("ledger up to date %s", pairs(expired=given_up.expired, released=given_up.released))


async def _say_ready(listener: Listener, lease: Lease) -> None:
    """Ready is who hears of rows and may claim them."""
    await listener.active.wait()
    await lease.granted()
    notify("READY=1")


async def _let_go(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_LET_GO_BOUND)
