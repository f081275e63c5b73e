"""The life of the daemon: what is opened first is closed last, and nesting is the order of shutdown."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pushd import __version__, migrations, source
from pushd.config import Config
from pushd.doorbell import Doorbell
from pushd.errors import SchemaError
from pushd.finder import Finder
from pushd.inbox import Inbox
from pushd.ledger import Ledger, Settler, enlist, register, require_grants
from pushd.listener import Listener
from pushd.log import pairs
from pushd.pipeline import Pipeline, Track
from pushd.postgres import Connection, Session, brief, connect
from pushd.server import serve
from pushd.source import Source
from pushd.stats import EndpointStats, Stats
from pushd.systemd import notify
from pushd.webhook import Webhook

log = logging.getLogger(__name__)

_LET_GO_BOUND = 10.0  # seconds that cancelled tasks may take to end
_HAND_OVER_BOUND = 10.0  # seconds for the last outcomes; what is not written is recovered at the next start


async def run(config: Config) -> None:
    """Run until asked to stop; PushdError when it cannot start, CancelledError when asked twice."""
    daemon = Daemon(config, _stop_on_signals())
    log.info("starting %s", pairs(version=__version__, name=config.daemon.name, endpoints=len(config.webhook.urls)))
    async with serve(config.server, daemon.snapshot):
        await daemon.run()
    log.info("stopped")


async def examine(connection: Connection, config: Config) -> Source:
    """Make sure that the database is as it has to be; changes nothing. SchemaError says what a DBA must do."""
    try:
        await migrations.require_all(connection)
        await require_grants(connection)
        return await source.inspect(connection, config.source)
    except psycopg.ProgrammingError as error:  # no such table, no such right, and their like
        raise SchemaError(f"{brief(error)}: apply sql/ with psql, or run pushctl migrate, as its owner") from error


async def _prepare(connection: Connection, config: Config) -> "Prepared":
    """Examine the database and find, or make, our places in the ledger."""
    return Prepared(
        source=await examine(connection, config),
        ledger=await enlist(connection, config.daemon.name, config.webhook.data_expiry),
        endpoint_ids=await register(connection, [endpoint.name for endpoint in config.webhook.endpoints]),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a checked database tells: the watched table, our name in the ledger, the endpoints' ids by name."""

    source: Source
    ledger: Ledger
    endpoint_ids: dict[str, int]


class Daemon:
    """Everything that runs, put together; `snapshot` may be asked at any time."""

    def __init__(self, config: Config, stopping: asyncio.Event) -> None:
        self._config = config
        self._dsn = config.database.dsn.get_secret_value()
        self._stopping = stopping  # set by the first signal
        self._stats = Stats({endpoint.name: EndpointStats() for endpoint in config.webhook.endpoints})
        self._inbox = Inbox()
        self._running: Running | None = None  # from when the database is ready

    async def run(self) -> None:
        """Push until asked to stop; without `webhook.enabled`, only be there."""
        if not self._config.webhook.enabled:
            log.info("webhook.enabled is false: nothing is claimed")
            notify("READY=1")
            await self._stopping.wait()
            return
        prepared = await self._unless_stopping(self._session("start").run(lambda each: _prepare(each, self._config)))
        if prepared is not None:
            async with self._tracks(prepared) as tracks:
                await self._live(prepared, tracks)

    def _session(self, purpose: str, *, blocking: bool = False) -> Session:
        return Session(self._dsn, purpose, self._stats.reconnected, blocking=blocking)

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

    @contextlib.asynccontextmanager
    async def _tracks(self, prepared: Prepared) -> AsyncIterator[list[Track]]:
        async with contextlib.AsyncExitStack() as clients:
            yield [
                Track(prepared.endpoint_ids[each.name], each, await clients.enter_async_context(Webhook(each)))
                for each in self._config.webhook.endpoints
            ]

    async def _live(self, prepared: Prepared, tracks: list[Track]) -> None:
        listener = Listener(prepared.source.channel, self._inbox, self._stats)
        doorbell = Doorbell(prepared.source.oid, self._inbox)
        settler = Settler(prepared.ledger)
        pipeline = Pipeline(tracks, self._config.webhook.data_expiry, settler, self._inbox, self._stats)
        finder = Finder(
            source=prepared.source,
            ledger=prepared.ledger,
            settler=settler,
            pipeline=pipeline,
            data_expiry=self._config.webhook.data_expiry,
            inbox=self._inbox,
            stats=self._stats,
            hears_all=lambda: listener.active.is_set() and doorbell.held,
        )
        self._running = Running(listener, doorbell, settler, tracks)
        async with asyncio.TaskGroup() as tasks:
            finding = [
                tasks.create_task(self._session("listen").run(listener.listen), name="listen"),
                tasks.create_task(self._session("bell", blocking=True).run(doorbell.hold), name="bell"),
                tasks.create_task(self._session("claim").run(finder.find), name="find"),
                tasks.create_task(_announce(listener), name="announce"),
            ]
            settling = tasks.create_task(self._session("settle").run(settler.settle), name="settle")
            pushing = [
                tasks.create_task(pipeline.push(track), name=f"push {track.endpoint.name} {number}")
                for track in tracks
                for number in range(track.endpoint.concurrent_pushers)
            ]
            await self._stopping.wait()

            notify("STOPPING=1")
            # 1. Nothing new is claimed.
            await _let_go(finding)
            # 2. What is claimed has its time to end well.
            log.info(
                "stopping, finishing what is claimed %s", pairs(limit=f"{self._config.daemon.shutdown_timeout:g}s")
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.daemon.shutdown_timeout):
                    await pipeline.drained()
            # 3. Then it is broken off, and outcomes and claims go back to the ledger.
            await _let_go([*pushing, settling])
            await self._hand_over(prepared.ledger, settler, pipeline)

    async def _hand_over(self, ledger: Ledger, settler: Settler, pipeline: Pipeline) -> None:
        """Write the last outcomes and give up the claims that have none, so that they can be taken at once."""
        left = pipeline.abandon()
        try:
            async with asyncio.timeout(_HAND_OVER_BOUND), connect(self._dsn, "stop") as connection:
                await settler.flush(connection)
                # Whatever is still in our name now has no outcome: also a claim whose answer came too late for us.
                expired, released = await ledger.recover(connection, ())
        except (psycopg.Error, OSError, TimeoutError) as error:
            log.warning(
                "not all outcomes are written, those rows will be pushed again after the next start %s",
                pairs(outcomes=len(settler), claims=left, error=brief(error)),
            )
        else:
            log.info("ledger up to date %s", pairs(expired=expired, released=released))

    def snapshot(self) -> dict[str, Any]:
        """The statistics: the specification's five figures, then what is under way, then what has been."""
        running = self._running
        under_way = {track.endpoint.name: track for track in running.tracks} if running else {}
        return {
            **self._stats.seed(),
            "backlog": sum(track.lane.queued for track in under_way.values()),
            "in_flight": sum(len(track.lane) for track in under_way.values()),
            "unsettled": len(running.settler) if running else 0,
            "listening": running.listener.active.is_set() if running else False,
            "doorbell_held": running.doorbell.held if running else False,
            **self._stats.totals(),
            **self._stats.traffic(),
            "endpoints": {
                name: {**of.state(), **(under_way[name].state() if name in under_way else {})}
                for name, of in self._stats.endpoints.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Running:
    """The parts whose state is worth telling."""

    listener: Listener
    doorbell: Doorbell
    settler: Settler
    tracks: list[Track]


async def _announce(listener: Listener) -> None:
    await listener.active.wait()
    notify("READY=1")


async def _let_go(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_LET_GO_BOUND)


def _stop_on_signals() -> asyncio.Event:
    """The first SIGTERM or SIGINT sets the event; the second cancels the task that called this."""
    stopping = asyncio.Event()
    main = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and main is not None:
            main.cancel()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Unhandled it would end the process, and systemctl reload sends it.
    loop.add_signal_handler(
        signal.SIGHUP, log.warning, "the configuration is read at the start only: restart to change it"
    )
    return stopping
