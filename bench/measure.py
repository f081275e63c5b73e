"""pushd beside the naive script, one after the other on one PostgreSQL: latency of single rows, and one large commit.

    make bench                 both figures, twice each, in turn
    make bench ARGS="--rounds 5"

Latency runs from just before the commit is sent to the first byte at the
receiver; all processes share this machine and its clock.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg

from pushd import migrations
from pushd.demo.postgres import Cluster
from pushd.demo.process import DaemonProcess

HERE = Path(__file__).parent
SINGLE_ROWS, RATE = 500, 50
BULK_ROWS = 10_000

NAIVE_TRIGGER = """
create function naive() returns trigger language plpgsql as $$
begin
  perform pg_notify('naive', new.id::text);
  return null;
end $$;
create trigger naive after insert on ocr_wallet_info for each row execute function naive();
"""

Insert = Callable[[psycopg.AsyncConnection[tuple[int]]], Awaitable[dict[int, float]]]


class Receiver:
    """The receiving process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}/"

    async def arrivals(self) -> dict[int, float]:
        """End it, and answer when each row came first."""
        async with asyncio.timeout(30):
            output, _ = await self.process.communicate(b"")  # an end to its standard input
        came: dict[int, float] = {}
        for line in output.decode().splitlines():
            row_id, at = line.split()
            came.setdefault(int(row_id), float(at))
        return came


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "receiver.py")), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Receiver(process, int(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def naive(cluster: Cluster, url: str) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(HERE / "naive.py"), cluster.dsn(), url), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextlib.asynccontextmanager
async def pushd(cluster: Cluster, url: str) -> AsyncIterator[int]:
    config = (
        f'[webhook]\nurls = ["{url}"]\n[database]\ndsn = "{cluster.dsn(user="pushd_daemon")}"\n[server]\nport = 0\n'
    )
    async with DaemonProcess(cluster.folder, config, {"PUSHD_LOG_LEVEL": "debug"}) as daemon:
        await daemon.doorbell_held()
        yield daemon.pid
        await daemon.stop(60)


async def singles(writer: psycopg.AsyncConnection[tuple[int]]) -> dict[int, float]:
    """Rows one by one at an even rate; answers when each commit was sent."""
    sent = {}
    begin = time.time()
    for number in range(SINGLE_ROWS):
        await asyncio.sleep(max(0.0, begin + number / RATE - time.time()))
        at = time.time()
        cursor = await writer.execute("insert into ocr_wallet_info (wallet_code) values ('ABC') returning id")
        ((row_id,),) = await cursor.fetchall()
        sent[row_id] = at
    return sent


async def bulk(writer: psycopg.AsyncConnection[tuple[int]]) -> dict[int, float]:
    """Many rows in one commit; answers when it was sent."""
    at = time.time()
    insert = "insert into ocr_wallet_info (wallet_code) select 'B' || n from generate_series(1, %s) as n returning id"
    cursor = await writer.execute(insert, [BULK_ROWS])
    return {row_id: at for (row_id,) in await cursor.fetchall()}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(cluster: Cluster, engine: str, insert: Insert) -> tuple[dict[int, float], dict[int, float], float]:
    """When each row was sent and came, and the seconds of CPU that the pushing process took."""
    cluster.psql("-c", "truncate ocr_wallet_info; drop function if exists naive cascade; truncate pushd.delivery")
    cluster.psql("-c", f"select pushd.{'watch' if engine == 'pushd' else 'unwatch'}('ocr_wallet_info')")
    if engine == "naive":
        cluster.psql("-c", NAIVE_TRIGGER)
    run = pushd if engine == "pushd" else naive
    async with receiver() as receiving, run(cluster, receiving.url) as pid:
        before = cpu_seconds(pid)
        async with await psycopg.AsyncConnection[tuple[int]].connect(cluster.dsn(), autocommit=True) as writer:
            sent = await insert(writer)
        # Long enough for the slower of the two; the figures come from the arrivals' own times.
        await asyncio.sleep(1 + len(sent) / 1500)
        used = cpu_seconds(pid) - before
        return sent, await receiving.arrivals(), used


async def main(rounds: int) -> None:
    p50s: dict[str, list[float]] = {"naive": [], "pushd": []}
    rates: dict[str, list[float]] = {"naive": [], "pushd": []}
    with Cluster({"fsync": "on"}) as cluster:
        for migration in migrations.available():
            cluster.psql("-1", "-c", migration.up)
        for _ in range(rounds):
            for engine in ("naive", "pushd"):
                sent, came, _ = await measure(cluster, engine, singles)
                delays = sorted((came[row_id] - at) * 1000 for row_id, at in sent.items() if row_id in came)
                p50s[engine].append(statistics.median(delays))
                print(
                    f"{engine}  {RATE} rows/s: {len(delays)} of {len(sent)} arrived,"
                    f" p50 {delays[len(delays) // 2]:.2f} ms, p99 {delays[len(delays) * 99 // 100]:.2f} ms,"
                    f" max {delays[-1]:.2f} ms"
                )
                sent, came, used = await measure(cluster, engine, bulk)
                arrived = [at for row_id, at in came.items() if row_id in sent]
                seconds = max(arrived) - min(sent.values())
                rates[engine].append(len(arrived) / seconds)
                print(
                    f"{engine}  {BULK_ROWS} rows in one commit: {len(arrived)} of {len(sent)} arrived,"
                    f" {len(arrived) / seconds:.0f} rows/s, {used / len(arrived) * 1e6:.0f} µs of CPU a row"
                )
    latency = [mine / theirs for mine, theirs in zip(p50s["pushd"], p50s["naive"], strict=True)]
    rate = [mine / theirs for mine, theirs in zip(rates["pushd"], rates["naive"], strict=True)]
    print(f"p50 latency, pushd / naive: {', '.join(f'{each:.2f}' for each in latency)}")
    print(f"bulk rate, pushd / naive: {', '.join(f'{each:.2f}' for each in rate)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    asyncio.run(main(parser.parse_args().rounds))
