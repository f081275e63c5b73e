"""What is measured: each work is a function from a server and an engine to figures, named with their units."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

from bench import load
from bench.bed import Cost, Turn, at_work, turn
from bench.engines import PEERS, PUSHD, Engine
from bench.figures import quantile
from bench.receiving import receiving
from pushd.demo.postgres import Cluster

Values = dict[str, float]
Work = Callable[[Cluster, Engine], Awaitable[Values]]

STREAM_ROWS = 16_000
BULK_ROWS = 20_000
BACKLOG_ROWS = 100_000
_PATIENCE = 6.0  # seconds after the last commit; who is slower is measured by what has arrived by then
_LATENCY_SECONDS = 6.0


def latency(rate: float) -> Work:
    """Commit single rows at this rate: ms from the moment the INSERT was sent to the first byte at the receiver."""

    async def work(cluster: Cluster, engine: Engine) -> Values:
        async with turn(cluster, engine) as at:
            return await _delays(at, rate)

    return work


def stream(writers: int) -> Work:
    """Commit single rows from so many writers flat out: rows delivered a second, from the start to the last arrival."""

    async def work(cluster: Cluster, engine: Engine) -> Values:
        async with turn(cluster, engine) as at:
            before, begin = at.cost(), time.time()
            commits = await load.flat_out(cluster, at.database, writers, rows=STREAM_ROWS)
            return {"commits_per_s": commits} | await _delivered(at, STREAM_ROWS, before, begin)

    return work


def bulk(daemons: int = 1) -> Work:
    """Commit many rows in one transaction: rows delivered a second, from the INSERT to the last arrival."""

    async def work(cluster: Cluster, engine: Engine) -> Values:
        async with turn(cluster, engine, daemons=daemons) as at:
            before = at.cost()
            begin = await load.at_once(at.dsn, BULK_ROWS)
            return await _delivered(at, BULK_ROWS, before, begin)

    return work


async def backlog(cluster: Cluster, engine: Engine) -> Values:
    """Find many rows after a stop: rows delivered a second between the first arrival and the last."""
    engine.empty(cluster)
    async with receiving() as receiver:
        async with at_work(cluster, engine, receiver):
            pass  # it has been here before: what came earlier would not be owed to the endpoint
        await load.at_once(cluster.dsn(engine.database), BACKLOG_ROWS)
        cluster.psql("-c", "vacuum analyze", "-c", "checkpoint", database=engine.database)
        async with at_work(cluster, engine, receiver) as at:
            arrivals = sorted((await receiver.until(BACKLOG_ROWS, _PATIENCE * 2)).values())
            return {
                "rows_per_s": len(arrivals) / (arrivals[-1] - arrivals[0]),
                "arrived": len(arrivals),
                "resident_mb": at.resident(),
            }


async def idle(cluster: Cluster, engine: Engine) -> Values:
    """Nothing happens: the share of a core, and transactions a second of the whole database."""
    seconds = 10.0
    count = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()"
    async with turn(cluster, engine) as at:
        await asyncio.sleep(3.0)  # the first looks at everything are over
        before, transactions = at.cost(), int(cluster.psql("-Atc", count, database=at.database))
        await asyncio.sleep(seconds)
        spent = at.cost() - before
        later = int(cluster.psql("-Atc", count, database=at.database))
        return {
            "core_percent": spent.daemon / spent.clock * 100,
            "transactions_per_s": (later - transactions) / spent.clock,
            "resident_mb": at.resident(),
        }


async def beside_dead(cluster: Cluster, engine: Engine) -> Values:
    """A second endpoint refuses every connection: the delays of the first, at 200 rows/s."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and never listens
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        async with turn(cluster, engine, also_to=[dead]) as at:
            return await _delays(at, 200)


async def alone(cluster: Cluster, engine: Engine) -> Values:
    """The same without a second endpoint."""
    async with turn(cluster, engine) as at:
        return await _delays(at, 200)


async def _delays(at: Turn, rate: float) -> Values:
    before = at.cost()
    sent = await load.at_rate(at.dsn, rate, _LATENCY_SECONDS)
    arrivals = await at.receiver.until(len(sent), _PATIENCE)
    spent = at.cost() - before
    delays = [(arrivals[row_id] - at) * 1000 for row_id, at in sent.items() if row_id in arrivals]
    return {
        "p50_ms": quantile(delays, 0.5),
        "p99_ms": quantile(delays, 0.99),
        "max_ms": max(delays),
        "arrived_percent": len(delays) / len(sent) * 100,
        "daemon_core_percent": spent.daemon / spent.clock * 100,
    }


async def _delivered(at: Turn, rows: int, before: Cost, begin: float) -> Values:
    arrivals = await at.receiver.until(rows, _PATIENCE)
    spent = at.cost() - before
    count = len(arrivals)
    return {
        "rows_per_s": count / (max(arrivals.values()) - begin),
        "arrived": count,
        "daemon_cpu_us": spent.daemon / count * 1e6,
        "postgres_cpu_us": spent.postgres / count * 1e6,
        "receiver_core_percent": spent.receiver / spent.clock * 100,
        "resident_mb": at.resident(),
    }


async def inserts(cluster: Cluster, way: str, writers: int, seconds: int = 3) -> Values:
    """Let pgbench commit single rows flat out: what is left to it, in one of the WAYS of watching the table."""
    engine = PUSHD
    engine.empty(cluster)
    ours, usual = way in {"daemon down", "daemon up"}, way == "always notifies"
    cluster.psql(
        *("-c", f"select pushd.{'watch' if ours else 'unwatch'}('ocr_wallet_info')"),
        *("-c", "drop function if exists naive cascade", *(("-f", PEERS / "naive" / "trigger.sql") if usual else ())),
        database=engine.database,
    )
    if way != "daemon up":
        return {"commits_per_s": await load.flat_out(cluster, engine.database, writers, seconds=seconds)}
    async with turn(cluster, engine) as at:
        before = at.cost()
        commits = await load.flat_out(cluster, at.database, writers, seconds=seconds)
        spent = at.cost() - before
        pushed = await at.receiver.count()
    return {
        "commits_per_s": commits,
        "pushed_per_s": pushed / spent.clock,
        "daemon_core_percent": spent.daemon / spent.clock * 100,
        "receiver_core_percent": spent.receiver / spent.clock * 100,
    }


WAYS = ("no trigger", "daemon down", "daemon up", "always notifies")
