"""What is left to writers: single-row commits at full speed by pgbench, bare, and with each way of watching the table.

The first column is the table without any trigger; the others are ratios to it,
measured round by round in turn on the same server. "no daemon" has our trigger
and nobody who listens, "daemon" has the daemon pushing to a receiver on the
same machine, and "notify" is the usual trigger that notifies on every row, with
nobody who listens either.
"""

import argparse
import asyncio
import contextlib
import re
import statistics
from collections.abc import AsyncIterator

from measure import NAIVE_TRIGGER, pushd, receiver

from pushd import migrations
from pushd.demo.postgres import Cluster

_INSERT = "insert into ocr_wallet_info (wallet_code) values ('ABC');"
_WAYS = ("bare", "no daemon", "daemon", "notify")
_RATE = re.compile(r"tps = ([0-9.]+)")


@contextlib.asynccontextmanager
async def watched(cluster: Cluster, way: str) -> AsyncIterator[None]:
    """The table as this way wants it."""
    cluster.psql("-c", "drop function if exists naive cascade; select pushd.unwatch('ocr_wallet_info')")
    cluster.psql("-c", "truncate ocr_wallet_info; truncate pushd.delivery", "-c", "checkpoint")
    if way in {"no daemon", "daemon"}:
        cluster.psql("-c", "select pushd.watch('ocr_wallet_info')")
    if way == "notify":
        cluster.psql("-c", NAIVE_TRIGGER)
    if way == "daemon":
        async with receiver() as receiving, pushd(cluster, receiving.url):
            yield
    else:
        yield


async def rate(cluster: Cluster, writers: int, seconds: int) -> float:
    """Commits a second of so many writers."""
    script = cluster.folder / "insert.sql"
    script.write_text(_INSERT, "utf-8")
    process = await asyncio.create_subprocess_exec(
        cluster.programs / "pgbench",
        *("-n", "-M", "prepared", "-f", str(script), "-c", str(writers), "-j", "2", "-T", str(seconds)),
        *("-h", str(cluster.folder), "-U", "postgres", "postgres"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    found = _RATE.search(output.decode())
    if not found:
        raise RuntimeError("pgbench did not finish")
    return float(found[1])


async def main(rounds: int, seconds: int) -> None:
    """Print a line for each number of writers."""
    with Cluster({"fsync": "on", "max_connections": "60"}) as cluster:
        for migration in migrations.available():
            cluster.psql("-1", "-c", migration.up)
        print("writers" + "".join(f"{way:>12}" for way in _WAYS))
        for writers in (1, 8, 32):
            ratios: dict[str, list[float]] = {way: [] for way in _WAYS}
            for _ in range(rounds):
                bare = 0.0
                for way in _WAYS:
                    async with watched(cluster, way):
                        commits = await rate(cluster, writers, seconds)
                    bare = bare or commits
                    ratios[way].append(commits if way == "bare" else commits / bare)
            figures = {way: statistics.median(each) for way, each in ratios.items()}
            shown = "".join(f"{value:12,.0f}" if way == "bare" else f"{value:12.2f}" for way, value in figures.items())
            print(f"{writers:7}{shown}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(main(options.rounds, options.seconds))
