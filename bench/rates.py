"""When to wake up and when to fall asleep: what each state of the doorbell costs at each rate of rows.

    python bench/rates.py
    python bench/rates.py --rates 100 300 --seconds 10

The daemon is held asleep, held awake, or left to itself, and writers commit single
rows at an even rate. Latency runs from the moment at which a commit was planned to
the first byte at the receiver. CPU is the share of one core.
"""

import argparse
import asyncio
import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
WRITERS = 8
INSERT = "insert into ocr_wallet_info (wallet_code) values ('ABC') returning id"


def run_daemon(state: str, config: str) -> None:
    """Be a daemon whose doorbell stays as it is told to."""
    import pushd.daemon  # noqa: PLC0415 (in the daemon's own process alone)
    from pushd.cli import main  # noqa: PLC0415
    from pushd.doorbell import RATES, Rates  # noqa: PLC0415

    rates = {
        "asleep": Rates(wake_at=math.inf),
        "awake": Rates(wake_at=1, sleep_below=0),
        "itself": RATES,
    }[state]
    pushd.daemon.assemble = functools.partial(pushd.daemon.assemble, rates=rates)  # type: ignore[attr-defined]
    main(["run", "-c", config])


@contextlib.asynccontextmanager
async def daemon(folder: Path, state: str, dsn: str, url: str) -> AsyncIterator[int]:
    config = folder / "config.toml"
    config.write_text(
        f'[webhook]\nurls = ["{url}"]\n[database]\ndsn = "{dsn}"\n[server]\nport = 0\n[log]\nlevel = "debug"\n', "utf-8"
    )
    with Path(folder, "daemon.log").open("w+", encoding="utf-8") as lines:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--daemon", state, str(config)), stderr=lines
        )
        try:
            async with asyncio.timeout(20):
                while "doorbell held" not in Path(lines.name).read_text("utf-8"):
                    await asyncio.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()
            await process.wait()
    changes = Path(lines.name).read_text("utf-8").count("doorbell state=")
    if state == "itself":
        print(f"    {changes} changes of state", end="")


async def write(dsn: str, rate: float, seconds: float) -> dict[int, float]:
    """Commit rows at an even rate; answers when each was planned."""
    planned: dict[int, float] = {}
    begin = time.time() + 0.1

    async def one(first: int) -> None:
        async with await psycopg.AsyncConnection[tuple[int]].connect(dsn, autocommit=True) as connection:
            for number in range(first, int(rate * seconds), WRITERS):
                at = begin + number / rate
                await asyncio.sleep(max(0.0, at - time.time()))
                cursor = await connection.execute(INSERT)
                ((row_id,),) = await cursor.fetchall()
                planned[row_id] = at

    await asyncio.gather(*(one(first) for first in range(WRITERS)))
    return planned


def cpu_seconds(*pids: int) -> float:
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def main(rates: list[float], seconds: float) -> None:
    from measure import receiver  # noqa: PLC0415 (bench/ is no package)

    from pushd import migrations  # noqa: PLC0415
    from pushd.demo.postgres import Cluster  # noqa: PLC0415

    with Cluster({"fsync": "on"}) as cluster:
        for migration in migrations.available():
            cluster.psql("-1", "-c", migration.up)
        print("rows/s  doorbell  p50 ms  p99 ms  max ms  daemon CPU  a row")
        for rate in rates:
            for state in ("asleep", "awake", "itself"):
                cluster.psql("-c", "truncate ocr_wallet_info, pushd.delivery")
                async with (
                    receiver() as receiving,
                    daemon(cluster.folder, state, cluster.dsn(user="pushd_daemon"), receiving.url) as pid,
                ):
                    await write(cluster.dsn(), max(rate, 50), 1)
                    before = cpu_seconds(pid)
                    planned = await write(cluster.dsn(), rate, seconds)
                    used = cpu_seconds(pid) - before
                    await asyncio.sleep(0.5)
                    came = await receiving.arrivals()
                late = sorted((came.get(row_id, math.inf) - at) * 1000 for row_id, at in planned.items())
                print(
                    f"\r{rate:6.0f}  {state:8}  {late[len(late) // 2]:6.2f}  {late[len(late) * 99 // 100]:6.2f}"
                    f"  {late[-1]:6.1f}  {used / seconds:10.1%}  {used / len(late) * 1e6:4.0f} µs"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--daemon"]:
        run_daemon(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 30, 100, 200, 300, 500, 1000])
    parser.add_argument("--seconds", type=float, default=8)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.rates, arguments.seconds))
