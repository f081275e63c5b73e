"""The watched table: claiming rows from it, and sweeping it for rows that were missed; `table` finds out its shape."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.types.string import TextBinaryLoader

from pushd.event import Delivery, Row
from pushd.log import pairs
from pushd.postgres import STATEMENT_BOUND, Connection, array, bounded, brief, statement
from pushd.tail import REACH

log = logging.getLogger(__name__)

LOOK = 1000  # rows that one look brings, at the most, besides those in gaps
_LEFT_ALONE = 15.0  # seconds for which a row is not asked for again that PostgreSQL could not hand out

Position = tuple[str, int]  # create_time as PostgreSQL writes it, and id


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought: deliveries to make, and those whose row was stale already and is settled so."""

    fresh: Sequence[Delivery] = ()
    expired: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Ids that a sweep found, oldest first, those of them that are overdue, and the position to go on from."""

    ids: Sequence[int]
    overdue: frozenset[int]
    position: Position


class Source:
    """The statements on one watched table; made by `table.inspect`."""

    def __init__(self, oid: int, channel: str, earliest: str, parts: dict[str, sql.Composable]) -> None:
        self.oid = oid
        self.channel = channel
        self.parts = parts  # of statements: how this table is named, and its create_time read
        self._start: Position = (earliest, -(2**63))  # before every row
        self._claim = _whole("claim", **parts)
        self._look = _whole("look", **parts)
        self._sweep = _whole("sweep", **parts, window=parts["fresh"])
        self._sweep_stale = _whole("sweep", **parts, window=parts["stale"])
        self._unreadable: dict[int, float] = {}  # until when a row is left alone that PostgreSQL could not hand out

    async def claim(
        self,
        connection: Connection,
        ids: Collection[int],
        endpoints: dict[int, str],
        daemon_id: int,
        data_expiry: float,
    ) -> Claimed:
        """Take and load the rows with these ids for these endpoints (id → name), all that nobody has taken.

        One row that cannot be read costs no other: the claim is halved until it stands alone, and is passed over. But
        not for ever, since the reason may have been another one, and may have gone.
        """
        # Ages count from before the question: the time that the answer takes makes a row older, never younger.
        asked = asyncio.get_running_loop().time()
        self._unreadable = {id_: until for id_, until in self._unreadable.items() if until > asked}
        wanted = sorted(set(ids) - self._unreadable.keys())
        if not wanted:
            return Claimed()
        parameters = {
            "ids": array(wanted),
            "endpoint_ids": array(endpoints),
            "daemon_id": daemon_id,
            "data_expiry": data_expiry,
        }
        try:
            async with bounded(connection, STATEMENT_BOUND):
                cursor = await connection.execute(self._claim, parameters, binary=True)
                rows = await _fetch(cursor)
        except (psycopg.DataError, psycopg.InternalError) as error:
            if len(wanted) == 1:
                self._unreadable[wanted[0]] = asked + _LEFT_ALONE
                fields = pairs(id=wanted[0], error=brief(error))
                log.error("row cannot be read and is passed over %s", fields)  # noqa: TRY400 (a line, not a traceback)
                return Claimed()
            middle = len(wanted) // 2
            halves = [
                await self.claim(connection, half, endpoints, daemon_id, data_expiry)
                for half in (wanted[:middle], wanted[middle:])
            ]
            return Claimed([*halves[0].fresh, *halves[1].fresh], [*halves[0].expired, *halves[1].expired])
        return _claimed(rows, endpoints, asked)

    async def look(self, connection: Connection, above: int, gaps: Sequence[int]) -> list[int]:
        """The ids above this one, up to `LOOK`, and those in the gaps, that can be seen now."""
        parameters = {"above": above, "reach": above + REACH, "gaps": array(gaps), "size": LOOK}
        async with bounded(connection, STATEMENT_BOUND):
            cursor = await connection.execute(self._look, parameters)
            return [id_ for (id_,) in await cursor.fetchall()]

    async def sweep(  # noqa: PLR0913 (a window, a position, and a size)
        self,
        connection: Connection,
        endpoint_ids: Collection[int],
        data_expiry: float,
        after: Position | None,
        size: int,
        *,
        look_back: float | None = None,
    ) -> Page:
        """Find fresh rows that an endpoint is owed and nobody has taken, oldest first: up to `size` after `after`.

        With `look_back` it finds those instead that nobody took while they were fresh, up to so many seconds old.
        """
        position = after or self._start
        parameters = {
            "endpoint_ids": array(endpoint_ids),
            "data_expiry": data_expiry,
            "look_back": look_back,
            "after_time": position[0],
            "after_id": position[1],
            "size": size,
        }
        text = self._sweep if look_back is None else self._sweep_stale
        async with bounded(connection, STATEMENT_BOUND), connection.transaction():
            await connection.execute(statement("in_order"))
            cursor = await connection.execute(text, parameters, prepare=False)
            rows = await cursor.fetchall()
        return Page(
            ids=[id_ for _, id_, _ in rows],
            overdue=frozenset(id_ for _, id_, overdue in rows if overdue),
            position=rows[-1][:2] if rows else position,
        )


def _whole(name: str, **parts: sql.Composable) -> sql.SQL:
    """A statement with its parts put in, once: psycopg would do it each time, and take half as long as the server."""
    return sql.SQL(sql.SQL(statement(name)).format(**parts).as_string())


class _Lenient(TextBinaryLoader):
    """Reads text whose bytes are none: what cannot be understood becomes U+FFFD."""

    def load(self, data: Buffer) -> str:
        encoding = self.connection.info.encoding if self.connection else "utf-8"
        return bytes(data).decode(encoding, "replace")


async def _fetch(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """All rows of an answer, for they are claimed by now; also such as were written when nobody checked encodings."""
    try:
        return await cursor.fetchall()
    except UnicodeDecodeError:
        cursor.adapters.register_loader("text", _Lenient)
        await cursor.set_result(0)
        return await cursor.fetchall()


def _claimed(rows: Sequence[tuple[Any, ...]], endpoints: dict[int, str], asked: float) -> Claimed:
    fresh: list[Delivery] = []
    expired: list[Delivery] = []
    for endpoint_id, stale, age, *columns in rows:
        delivery = Delivery(Row._make(columns), endpoints[endpoint_id], endpoint_id, asked - age)
        (expired if stale else fresh).append(delivery)
    return Claimed(fresh, expired)
