"""The watched table: what its columns are, claiming rows from it, and sweeping it for rows that were missed."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from pushd import config
from pushd.errors import SchemaError
from pushd.event import Delivery, Row
from pushd.log import pairs
from pushd.postgres import STATEMENT_BOUND, Connection, brief, statement

log = logging.getLogger(__name__)

TEXT_COLUMNS = ("source_ip", "msg_id", "group_id", "wallet_code", "serial_no", "wx_id", "wx_nick_name", "pic_url")
_COLUMNS = ("id", *TEXT_COLUMNS, "create_time")


@dataclass(frozen=True, slots=True)
class _TimeColumn:
    """How one type of create_time is read: as timestamptz, as a value that has a date, as "in the fresh window".

    Values without a date (infinity, a year beyond 9999) are no candidates: no age can be told.
    """

    row_time: LiteralString
    plausible: LiteralString
    in_window: LiteralString
    earliest: str


_TIME_COLUMNS = {
    "timestamp with time zone": _TimeColumn(
        row_time="r.create_time",
        plausible="r.create_time between '1970-01-01 00:00:00+00' and '9999-12-31 00:00:00+00'",
        in_window="r.create_time > now() - %(data_expiry)s * interval '1 second'",
        earliest="-infinity",
    ),
    "timestamp without time zone": _TimeColumn(
        row_time="(r.create_time at time zone {timezone})",
        plausible="r.create_time between '1970-01-02 00:00:00' and '9999-12-30 00:00:00'",
        in_window="r.create_time > (now() - %(data_expiry)s * interval '1 second') at time zone {timezone}",
        earliest="-infinity",
    ),
    # Seconds or milliseconds, told apart by size: 10^11 seconds are the year 5138, 10^11 milliseconds 1973.
    "bigint": _TimeColumn(
        row_time="to_timestamp(r.create_time / case when r.create_time < 100000000000 then 1.0 else 1000.0 end)",
        plausible="r.create_time between 0 and 253402214400000",
        in_window="(r.create_time > 1000 * (extract(epoch from now()) - %(data_expiry)s)::bigint"
        " or r.create_time between (extract(epoch from now()) - %(data_expiry)s)::bigint and 99999999999)",
        earliest="-1",
    ),
}


Position = tuple[str, int]  # create_time as PostgreSQL writes it, and id


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought: deliveries to make, and those whose row was stale already and is settled so."""

    fresh: Sequence[Delivery] = ()
    expired: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Ids that a sweep found, oldest first, and the position to go on from."""

    ids: Sequence[int]
    position: Position


class Source:
    """The statements on one watched table; made by `inspect`."""

    def __init__(self, oid: int, channel: str, earliest: str, parts: dict[str, sql.Composable]) -> None:
        self.oid = oid
        self.channel = channel
        self._start: Position = (earliest, -(2**63))  # before every row
        self._claim = sql.SQL(statement("claim")).format(**parts)
        self._sweep = sql.SQL(statement("sweep")).format(**parts)
        self._unreadable: set[int] = set()  # rows that PostgreSQL cannot hand out, reported once

    async def claim(
        self,
        connection: Connection,
        ids: Collection[int],
        endpoints: dict[int, str],
        daemon_id: int,
        data_expiry: float,
    ) -> Claimed:
        """Take and load the rows with these ids for these endpoints (id → name), all that nobody has taken.

        One row that cannot be read costs no other: the claim is halved until it stands alone, and is passed over.
        """
        wanted = sorted(set(ids) - self._unreadable)
        if not wanted:
            return Claimed()
        parameters = {
            "ids": wanted,
            "endpoint_ids": list(endpoints),
            "daemon_id": daemon_id,
            "data_expiry": data_expiry,
        }
        # Ages count from before the question: the time that the answer takes makes a row older, never younger.
        asked = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(STATEMENT_BOUND):
                cursor = await connection.execute(self._claim, parameters, binary=True)
                rows = await cursor.fetchall()
        except (psycopg.DataError, psycopg.InternalError) as error:
            if len(wanted) == 1:
                self._unreadable.update(wanted)
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

    async def sweep(
        self,
        connection: Connection,
        endpoint_ids: Collection[int],
        data_expiry: float,
        after: Position | None,
        size: int,
    ) -> Page:
        """Find fresh rows that an endpoint is owed and nobody has taken, oldest first: up to `size` after `after`."""
        after = after or self._start
        parameters = {
            "endpoint_ids": list(endpoint_ids),
            "data_expiry": data_expiry,
            "after_time": after[0],
            "after_id": after[1],
            "size": size,
        }
        async with asyncio.timeout(STATEMENT_BOUND):
            cursor = await connection.execute(self._sweep, parameters)
            rows = await cursor.fetchall()
        return Page([id_ for _, id_ in rows], rows[-1] if rows else after)


def _claimed(rows: Sequence[tuple[Any, ...]], endpoints: dict[int, str], asked: float) -> Claimed:
    fresh: list[Delivery] = []
    expired: list[Delivery] = []
    for endpoint_ids, stale, age, *columns in rows:
        row = Row(*columns)
        (expired if stale else fresh).extend(
            Delivery(row, endpoints[endpoint_id], endpoint_id, asked - age) for endpoint_id in endpoint_ids
        )
    return Claimed(fresh, expired)


# what the table is ------------------------------------------------------------


async def inspect(connection: Connection, source: config.Source) -> Source:
    """Look the table up; SchemaError with what a DBA has to do when it cannot be watched."""
    parameters = {"table": source.table, "timezone": source.timezone, "columns": list(_COLUMNS)}
    try:
        async with asyncio.timeout(STATEMENT_BOUND):
            cursor = await connection.execute(statement("inspect"), parameters)
            found = await cursor.fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidName, psycopg.errors.SyntaxError) as error:
        raise SchemaError(f"source.table {source.table}: {brief(error)}") from error
    if found is None:
        raise SchemaError(f"source.table {source.table}: no such table in this database")
    oid, schema, name, is_table, encoding, types, unreadable, rings, timezone_is_known = found
    if not is_table:
        raise SchemaError(f"source.table {source.table} is not a table")
    if encoding == "SQL_ASCII":
        raise SchemaError("the database's encoding is SQL_ASCII, of which no text can be told: move it to UTF8")
    if missing := [column for column in _COLUMNS if column not in types]:
        raise SchemaError(f"source.table {source.table} has no column {', '.join(missing)}")
    if unreadable:
        raise SchemaError(f"may not read {source.table} ({', '.join(unreadable)}): {_watch(source)}")
    if not timezone_is_known:
        raise SchemaError(f"source.timezone {source.timezone} is not known to PostgreSQL: see pg_timezone_names")
    if not rings:
        # No reason to stay down: the sweep finds the rows, only later.
        log.error("the trigger is missing or disabled, rows are found by sweeping only: %s", _watch(source))
    return Source(oid, f"pushd_{name}", *_parts(source, schema, name, types))


def _watch(source: config.Source) -> str:
    return f"as the table's owner, run  select pushd.watch('{source.table}');"


def _parts(
    source: config.Source, schema: str, name: str, types: dict[str, str]
) -> tuple[str, dict[str, sql.Composable]]:
    time_type = types["create_time"]
    if time_type not in _TIME_COLUMNS:
        known = ", ".join(_TIME_COLUMNS)
        raise SchemaError(f"create_time of {source.table} is {time_type}; pushd can read {known}")
    if time_type == "timestamp without time zone" and source.timezone is None:
        raise SchemaError(f"create_time of {source.table} has no time zone: say which is meant with source.timezone")
    time = _TIME_COLUMNS[time_type]
    timezone = sql.Literal(source.timezone)
    columns = [
        sql.SQL("abbrev(r.{0}) as {0}" if types[column] in {"inet", "cidr"} else "r.{0}::text as {0}").format(
            sql.Identifier(column)
        )
        for column in TEXT_COLUMNS
    ]
    return time.earliest, {
        "table": sql.Identifier(schema, name),
        "row_time": sql.SQL(time.row_time).format(timezone=timezone),
        "plausible": sql.SQL(time.plausible),
        "in_window": sql.SQL(time.in_window).format(timezone=timezone),
        "columns": sql.SQL(",\n    ").join(columns),
        "names": sql.SQL(",\n  ").join(sql.Identifier("c", column) for column in TEXT_COLUMNS),
    }
