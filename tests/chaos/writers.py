"""Applications that insert steadily, each in its own way, and note when their commits returned."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Any, Self

import psycopg

_BY_HAND = 10**12  # where ids begin that no sequence gave
_STOP_BOUND = 40.0  # seconds; a frozen server lets nobody go

_INSERT = "insert into ocr_wallet_info (wallet_code, msg_id) values (%s, %s) returning id"
_MANY = "insert into ocr_wallet_info (wallet_code) select 'MANY' from generate_series(1, %s) returning id"
_HAND = "insert into ocr_wallet_info (id, wallet_code) values (%s, 'HAND') returning id"


class Writers:
    """Several connections that insert until stopped, and come back whenever the database does."""

    def __init__(self, dsn: str, *, count: int = 4, rate: float = 60.0) -> None:
        self._dsn = dsn
        self._count = count
        self._pause = count / rate  # seconds between one writer's transactions
        self._hand = _BY_HAND
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()
        self.commits: dict[int, float] = {}  # row → when its commit returned, by time.time

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._write(n), name=f"writer {n}") for n in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let each end its transaction; one that fails otherwise than by the database's fault is an error."""
        self._stopping.set()
        tasks, self._tasks = self._tasks, []
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_BOUND)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks)

    async def until_committed(self, count: int, within: float = 40.0) -> list[int]:
        """Wait for so many rows from now on, and answer them."""
        before = set(self.commits)
        async with asyncio.timeout(within):
            while len(self.commits) < len(before) + count:
                self._news.clear()
                await self._news.wait()
        return [row_id for row_id in self.commits if row_id not in before]

    def note(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Take down that these rows' commit has returned just now."""
        now = time.time()
        self.commits.update((int(row_id), now) for (row_id,) in rows)
        self._news.set()

    async def _write(self, number: int) -> None:
        chance = random.Random(number)
        while not self._stopping.is_set():
            # An ambiguous commit needs no care: at the end the table itself tells which rows there are.
            with contextlib.suppress(psycopg.Error, OSError):
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=5
                ) as connection:
                    while not self._stopping.is_set():
                        await self._transaction(connection, chance)
                        await self._rest(self._pause * chance.uniform(0.5, 1.5))
            await self._rest(0.1)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _transaction(self, connection: psycopg.AsyncConnection[tuple[Any, ...]], chance: random.Random) -> None:
        match chance.choices(("one", "many", "two", "none", "hand"), (70, 8, 8, 8, 6))[0]:
            case "one":
                cursor = await connection.execute(_INSERT, (f"ONE{chance.random()}", "1"))
                self.note(await cursor.fetchall())
            case "many":
                cursor = await connection.execute(_MANY, (chance.randint(2, 5),))
                self.note(await cursor.fetchall())
            case "two":
                async with connection.transaction():
                    first = await (await connection.execute(_INSERT, ("FIRST", "1"))).fetchall()
                    second = await (await connection.execute(_INSERT, ("SECOND", "2"))).fetchall()
                self.note([*first, *second])
            case "none":
                async with connection.transaction(force_rollback=True):
                    await connection.execute(_MANY, (chance.randint(1, 3),))
            case "hand":
                self._hand += chance.randint(1, 1000)
                cursor = await connection.execute(_HAND, (self._hand,))
                self.note(await cursor.fetchall())
