"""What everything is measured on: one PostgreSQL with a database for each engine, and one turn of an engine on it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Self

from bench.engines import Engine, SecondPushd
from bench.processes import Program, cpu_seconds, family_cpu_seconds, resident
from bench.receiving import Receiving, receiving
from pushd.demo.postgres import Cluster

# Durable commits, as in production; else PostgreSQL as it comes, with memory for what is written here.
SETTINGS = {"fsync": "on", "max_connections": "80", "shared_buffers": "256MB", "max_wal_size": "2GB"}
_BREATH = 0.3  # seconds after a start, until statements are prepared and sessions warm


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU: the pushing processes, PostgreSQL with all its sessions, the receiver; and of the clock."""

    daemon: float
    postgres: float
    receiver: float
    clock: float

    def __sub__(self, other: Self) -> "Cost":
        return Cost(
            self.daemon - other.daemon,
            self.postgres - other.postgres,
            self.receiver - other.receiver,
            self.clock - other.clock,
        )


class Turn:
    """An engine that runs, on empty tables, and pushes to `receiver`."""

    def __init__(self, cluster: Cluster, engine: Engine, receiver: Receiving, programs: Sequence[Program]) -> None:
        self.cluster = cluster
        self.database = engine.database
        self.dsn = cluster.dsn(engine.database)
        self.receiver = receiver
        self.pids = [program.pid for program in programs]

    def cost(self) -> Cost:
        """Answer what has been spent so far."""
        return Cost(
            cpu_seconds(self.pids),
            family_cpu_seconds(self.cluster.pid),
            cpu_seconds([self.receiver.pid]),
            time.monotonic(),
        )

    def resident(self) -> float:
        """Answer the MB that the pushing processes hold."""
        return resident(self.pids)


@contextlib.asynccontextmanager
async def bed(engines: Sequence[Engine]) -> AsyncIterator[Cluster]:
    """A server with these engines installed."""
    with Cluster(SETTINGS) as cluster:
        for engine in engines:
            await engine.install(cluster)
        yield cluster


@contextlib.asynccontextmanager
async def turn(
    cluster: Cluster, engine: Engine, *, daemons: int = 1, also_to: Sequence[str] = ()
) -> AsyncIterator[Turn]:
    """Run this engine on empty tables, several times over if asked, and to further endpoints."""
    engine.empty(cluster)
    async with receiving() as receiver, at_work(cluster, engine, receiver, daemons, also_to) as at:
        yield at


@contextlib.asynccontextmanager
async def at_work(
    cluster: Cluster, engine: Engine, receiver: Receiving, daemons: int = 1, also_to: Sequence[str] = ()
) -> AsyncIterator[Turn]:
    """Run this engine on what is there."""
    urls = (receiver.url, *also_to)
    async with contextlib.AsyncExitStack() as stack:
        programs = [await stack.enter_async_context(engine.running(cluster, urls))]
        for number in range(2, daemons + 1):
            second = SecondPushd(engine.name)
            programs.append(await stack.enter_async_context(second.running(cluster, urls, number)))
        await asyncio.sleep(_BREATH)
        yield Turn(cluster, engine, receiver, programs)
