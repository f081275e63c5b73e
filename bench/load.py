"""The application: rows committed one by one at an even rate, flat out, or many at once."""

import asyncio
import re
import time

import psycopg

from bench.processes import done
from pushd.demo.postgres import Cluster

_INSERT = """
    insert into ocr_wallet_info
      (source_ip, msg_id, group_id, wallet_code, serial_no, wx_id, wx_nick_name, pic_url)
    select '192.168.1.100', '123456789', 'group123@chatroom', 'ABC' || n, 'SN789012345', 'user123', '张三',
           'https://example.com/image.jpg'
    from generate_series(1, {rows}) as n
"""
_RETURNING = _INSERT.format(rows=1) + " returning id"
_TPS = re.compile(r"tps = ([0-9.]+)")
_GRACE = 0.1  # seconds until the first row, so that all writers are connected


async def at_rate(dsn: str, rate: float, seconds: float, writers: int = 8) -> dict[int, float]:
    """Commit rows at an even rate; answers when each INSERT was sent (time.time)."""
    sent: dict[int, float] = {}
    begin = time.time() + _GRACE

    async def write(first: int) -> None:
        async with await psycopg.AsyncConnection[tuple[int]].connect(dsn, autocommit=True) as connection:
            for number in range(first, int(rate * seconds), writers):
                await asyncio.sleep(max(0.0, begin + number / rate - time.time()))
                at = time.time()
                cursor = await connection.execute(_RETURNING, prepare=True)
                ((row_id,),) = await cursor.fetchall()
                sent[row_id] = at

    await asyncio.gather(*(write(first) for first in range(writers)))
    return sent


async def at_once(dsn: str, rows: int) -> float:
    """Commit so many rows in one transaction; answers when the INSERT was sent (time.time)."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        at = time.time()
        await connection.execute(_INSERT.format(rows=rows))
        return at


async def flat_out(
    cluster: Cluster, database: str, writers: int, *, rows: int | None = None, seconds: int | None = None
) -> float:
    """Have pgbench commit single rows as fast as it can: so many in all, or so long; answers commits a second."""
    script = cluster.folder / "insert.sql"
    script.write_text(" ".join(_INSERT.format(rows=1).split()) + ";", "utf-8")
    amount = ("-T", str(seconds)) if seconds else ("-t", str((rows or 0) // writers))
    printed = await done(
        cluster.programs / "pgbench",
        *("-n", "-M", "prepared", "-f", script, "-c", str(writers), "-j", str(min(2, writers)), *amount),
        *("-h", cluster.folder, "-U", "postgres", database),
    )
    found = _TPS.search(printed)
    if not found:
        raise RuntimeError(f"pgbench did not finish: {printed[-500:]}")
    return float(found[1])
