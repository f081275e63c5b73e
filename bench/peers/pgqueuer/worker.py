"""pgqueuer on asyncpg, with batches as large as its manual's benchmark takes them."""

import datetime as dt
import sys
import time

import aiohttp
import asyncpg
import orjson
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

COLUMNS = "id, source_ip, msg_id, group_id, wallet_code, serial_no, wx_id, wx_nick_name, pic_url"
SELECT = f"""
    select {COLUMNS}, extract(epoch from create_time)::bigint as create_time
    from ocr_wallet_info where id = $1 and create_time > now() - interval '5 min'
"""
BATCH = 100


async def install(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.optimize_autovacuum()
    await connection.close()


async def run(dsn: str, url: str) -> None:
    async with (
        asyncpg.create_pool(dsn, min_size=2, max_size=8) as rows,
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as client,
    ):
        queue = PgQueuer.from_asyncpg_connection(await asyncpg.connect(dsn))

        @queue.entrypoint("push")
        async def push(job: Job) -> None:
            row = await rows.fetchrow(SELECT, int(job.payload or b"0"))
            if row is None:
                return
            envelope = {"event_type": "ocr_wallet_data", "timestamp": int(time.time()), "data": dict(row)}
            async with client.post(url, data=orjson.dumps(envelope)) as response:
                await response.read()
                response.raise_for_status()

        print("ready", flush=True)
        await queue.run(batch_size=BATCH, max_concurrent_tasks=BATCH * 4, dequeue_timeout=dt.timedelta(seconds=5))


uvloop.run(install(sys.argv[2]) if sys.argv[1] == "install" else run(sys.argv[2], sys.argv[3]))
