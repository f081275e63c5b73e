"""How long a sweep takes to find a page, after one large commit, with each index and with none.

    python -m bench.sweep

All rows of one commit have the same create_time, and so only their ids tell
which of them come next.
"""

import argparse
import asyncio
import statistics
import time

from bench.bed import bed
from bench.engines import Pushd
from bench.load import at_once
from pushd import config, table
from pushd.demo.postgres import Cluster
from pushd.postgres import connect

_INDEXES = {
    "none": "",
    "(create_time)": "create index ocr_wallet_info_create_time_idx on ocr_wallet_info (create_time)",
    "(create_time, id)": "create index ocr_wallet_info_create_time_idx on ocr_wallet_info (create_time, id)",
}
_ENDPOINT = "insert into pushd.endpoint (name, since) values ('bench', '-infinity') returning id"
_PAGE = 500  # rows
_PAGES = 10


async def _page_ms(cluster: Cluster, endpoint: int) -> float:
    """Answer the middle time of a page: the first of the rows that wait, and those behind it."""
    took = []
    async with connect(cluster.dsn("pushd"), "sweep") as connection:
        source = await table.inspect(connection, config.Source())
        position = None
        for _ in range(_PAGES):
            began = time.perf_counter()
            page = await source.sweep(connection, [endpoint], 3600.0, position, _PAGE)
            took.append((time.perf_counter() - began) * 1000)
            if len(page.ids) != _PAGE:
                raise RuntimeError(f"a page of {len(page.ids)} rows")
            position = page.position
    return statistics.median(took)


async def _main(rows: int) -> None:
    pushd = Pushd()
    async with bed([pushd]) as cluster:
        endpoint = int(cluster.psql("-Atc", _ENDPOINT, database=pushd.database))
        pushd.empty(cluster)
        await at_once(cluster.dsn(pushd.database), rows)
        print(f"{rows:,} rows of one commit wait; a page of {_PAGE}")
        for name, index in _INDEXES.items():
            cluster.psql("-c", "drop index if exists ocr_wallet_info_create_time_idx", database=pushd.database)
            if index:
                cluster.psql("-c", index, database=pushd.database)
            cluster.psql("-c", "vacuum analyze ocr_wallet_info", database=pushd.database)
            print(f"{name:18} {await _page_ms(cluster, endpoint):8.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    asyncio.run(_main(parser.parse_args().rows))
