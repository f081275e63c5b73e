"""procrastinate with as many jobs at a time as connections and cores feed; jobs that succeeded are deleted."""

import sys
import time

import aiohttp
import orjson
import procrastinate
import psycopg_pool
import uvloop

COLUMNS = "id, source_ip, msg_id, group_id, wallet_code, serial_no, wx_id, wx_nick_name, pic_url"
SELECT = f"""
    select {COLUMNS}, extract(epoch from create_time)::bigint
    from ocr_wallet_info where id = %s and create_time > now() - interval '5 min'
"""
CONCURRENCY = 24


async def install(dsn: str) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def run(dsn: str, url: str) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn, min_size=4, max_size=12))
    async with (
        app.open_async(),
        psycopg_pool.AsyncConnectionPool(dsn, min_size=2, max_size=8, kwargs={"autocommit": True}) as rows,
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as client,
    ):

        @app.task(name="push")
        async def push(row_id: int) -> None:
            async with rows.connection() as connection:
                cursor = await connection.execute(SELECT, [row_id])
                row = await cursor.fetchone()
            if row is None:
                return
            data = dict(zip([*COLUMNS.split(", "), "create_time"], row, strict=True))
            envelope = {"event_type": "ocr_wallet_data", "timestamp": int(time.time()), "data": data}
            async with client.post(url, data=orjson.dumps(envelope)) as response:
                await response.read()
                response.raise_for_status()

        print("ready", flush=True)
        await app.run_worker_async(
            concurrency=CONCURRENCY,
            listen_notify=True,
            fetch_job_polling_interval=1.0,  # should a notification be missed
            delete_jobs="successful",
            install_signal_handlers=False,
        )


uvloop.run(install(sys.argv[2]) if sys.argv[1] == "install" else run(sys.argv[2], sys.argv[3]))
