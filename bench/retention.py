"""Does the ledger stay bounded? Deliveries are written at a steady rate, and pruned once they are a window old.

Nothing is bloated if the size stops growing once the first window is full, and
nobody waits if no delete takes long. Rows are dated 30 days back, and so are
the limits, since the daemon itself never prunes what is younger than an hour.
"""

import argparse
import asyncio
import time
from dataclasses import dataclass, field

from pushd import migrations
from pushd.demo.postgres import Cluster
from pushd.ledger import prune
from pushd.postgres import Connection, connect

_BACK = 30 * 86_400.0  # seconds
_ROWS = 1000  # deliveries in one claim, and in one settle
_BATCH = 2000  # deliveries in one delete, as the daemon does it
_CLAIM = """
insert into pushd.delivery (row_time, row_id, claimed_at, daemon_id, endpoint_id)
select %(at)s::timestamptz, n, %(at)s::timestamptz, 1, 1
from generate_series(1, %(rows)s::bigint) as n
"""
_SETTLE = """
update pushd.delivery
set state = 1, settled_at = clock_timestamp(), attempts = 1, status = 200, response_ms = 3
where row_time = %(at)s::timestamptz
"""
_SIZES = "select pg_relation_size('pushd.delivery'), pg_relation_size('pushd.delivery_pkey')"


@dataclass
class Pruned:
    """What deleting has come to: deliveries, seconds in statements, the longest of these."""

    deliveries: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass
class Written:
    """How many deliveries have been claimed and settled."""

    deliveries: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)


async def one(connection: Connection, query: str) -> tuple[int, ...]:
    cursor = await connection.execute(query)
    return (await cursor.fetchall())[0]


async def write(connection: Connection, rate: int, written: Written) -> None:
    """Claim and settle at this rate until it is enough."""
    began = time.perf_counter()
    while not written.enough.is_set():
        await asyncio.sleep(max(0.0, began + written.deliveries / rate - time.perf_counter()))
        cursor = await connection.execute("select (clock_timestamp() - interval '30 d')::text")
        ((at,),) = await cursor.fetchall()
        await connection.execute(_CLAIM, {"at": at, "rows": _ROWS})
        await connection.execute(_SETTLE, {"at": at})
        written.deliveries += _ROWS


async def keep_pruning(connection: Connection, window: float, written: Written, pruned: Pruned) -> None:
    """Delete what is older than the window, until it is enough."""
    while not written.enough.is_set():
        after = "-infinity"
        deleted = _BATCH
        while deleted == _BATCH:
            began = time.perf_counter()
            deleted, after = await prune(connection, _BACK + window, _BATCH, after)
            took = time.perf_counter() - began
            if deleted:
                pruned.deliveries += deleted
                pruned.seconds += took
                pruned.longest = max(pruned.longest, took)
        await asyncio.sleep(0.5)


async def run(rate: int, window: float, windows: int) -> None:
    """Print, window by window, what was written and deleted, and how large the table is."""
    # At 20,000 rows/s as many rows come between two rounds of autovacuum as at 1,000 rows/s in its usual minute.
    settings = {"fsync": "on", "autovacuum_naptime": "3s", "shared_buffers": "256MB", "max_wal_size": "4GB"}
    with Cluster(settings) as cluster:
        for migration in migrations.available():
            cluster.psql("-1", "-c", migration.up)
        cluster.psql("-c", "insert into pushd.daemon (name, data_expiry) values ('bench', '5 min')")
        dsn = cluster.dsn()
        written, pruned = Written(), Pruned()
        async with (
            connect(dsn, "write") as writer,
            connect(dsn, "prune") as pruner,
            connect(dsn, "look") as looker,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(write(writer, rate, written))
            tasks.create_task(keep_pruning(pruner, window, written, pruned))
            print("window     written     deleted  deleted/s  longest delete      heap     index")
            for number in range(1, windows + 1):
                await asyncio.sleep(window)
                heap, index = await one(looker, _SIZES)
                speed = pruned.deliveries / pruned.seconds if pruned.seconds else 0
                print(
                    f"{number:6} {written.deliveries:11,} {pruned.deliveries:11,} {speed:10,.0f}"
                    f" {pruned.longest * 1000:12,.0f} ms {heap >> 20:6,} MB {index >> 20:6,} MB",
                    flush=True,
                )
            written.enough.set()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=20_000, help="deliveries a second")
    parser.add_argument("--window", type=float, default=20.0, help="seconds")
    parser.add_argument("--windows", type=int, default=8)
    options = parser.parse_args()
    asyncio.run(run(options.rate, options.window, options.windows))
