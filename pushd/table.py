"""What the watched table is: its columns and their types, its trigger, its indexes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql

from pushd import config
from pushd.errors import PushdError, SchemaError
from pushd.postgres import Connection, brief, query
from pushd.source import Source

_TEXT_COLUMNS = ("source_ip", "msg_id", "group_id", "wallet_code", "serial_no", "wx_id", "wx_nick_name", "pic_url")
_COLUMNS = ("id", *_TEXT_COLUMNS, "create_time")


@dataclass(frozen=True, slots=True)
class _TimeColumn:
    """How one type of create_time is read: as timestamptz, as a value that has a date, as "younger than an age".

    Values without a date (infinity, a year beyond 2200) are no candidates: no age can be told, and beyond the year
    2255 PostgreSQL is not exact to the microsecond when it multiplies an interval.
    """

    row_time: LiteralString
    plausible: LiteralString
    younger: LiteralString
    earliest: str


_TIME_COLUMNS = {
    "timestamp with time zone": _TimeColumn(
        row_time="r.create_time",
        plausible="r.create_time between '1970-01-01 00:00:00+00' and '2200-01-01 00:00:00+00'",
        younger="r.create_time > now() - {age} * interval '1 second'",
        earliest="-infinity",
    ),
    "timestamp without time zone": _TimeColumn(
        row_time="(r.create_time at time zone {timezone})",
        plausible="r.create_time between '1970-01-02 00:00:00' and '2199-12-31 00:00:00'",
        younger="r.create_time > (now() - {age} * interval '1 second') at time zone {timezone}",
        earliest="-infinity",
    ),
    # Seconds or milliseconds, told apart by size: 10^11 seconds are the year 5138, 10^11 milliseconds 1973.
    "bigint": _TimeColumn(
        row_time="to_timestamp(r.create_time / case when r.create_time < 100000000000 then 1.0 else 1000.0 end)",
        plausible="r.create_time between 0 and 7258118400000",
        younger="(r.create_time > 1000 * (extract(epoch from now()) - {age})::bigint"
        " or (r.create_time > (extract(epoch from now()) - {age})::bigint and r.create_time < 100000000000))",
        earliest="-1",
    ),
}


async def inspect(connection: Connection, source: config.Source) -> Source:
    """Look the table up; SchemaError with what a DBA has to do when it cannot be watched."""
    parameters = {"table": source.table, "timezone": source.timezone, "columns": list(_COLUMNS)}
    try:
        found = await query(connection, "inspect", parameters)
    except psycopg.errors.InsufficientPrivilege as error:  # pushd.watch grants it, but whoever ran that could not
        schema = source.table.rpartition(".")[0]
        grant = f"grant usage on schema {schema} to {connection.info.user};"
        raise SchemaError(
            f"source.table {source.table}: {brief(error)}: as the schema's owner, run  {grant}"
        ) from error
    except (psycopg.errors.InvalidName, psycopg.errors.SyntaxError) as error:
        raise SchemaError(f"source.table {source.table}: {brief(error)}") from error
    if not found:
        raise SchemaError(f"source.table {source.table}: no such table in this database")
    oid, schema, name, is_table, encoding, types, unreadable, timezone_is_known = found[0]
    if not is_table:
        raise SchemaError(f"source.table {source.table} is not a table")
    if encoding == "SQL_ASCII":
        raise SchemaError("the database's encoding is SQL_ASCII, of which no text can be told: move it to UTF8")
    if missing := [column for column in _COLUMNS if column not in types]:
        raise SchemaError(f"source.table {source.table} has no column {', '.join(missing)}")
    if unreadable:
        raise SchemaError(
            f"may not read {source.table} ({', '.join(unreadable)}): "
            f"as the role that applied sql/, run  select pushd.watch('{source.table}');"
        )
    if not timezone_is_known:
        raise SchemaError(f"source.timezone {source.timezone} is not known to PostgreSQL: see pg_timezone_names")
    return Source(oid, f"pushd_{name}", *_parts(source, schema, name, types))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, who can mend it, and how: a statement, or where one stands."""

    what: str
    who: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: as {self.who}, run  {self.fix}"


@dataclass(frozen=True, slots=True)
class Condition:
    """What of the table is not as it should be; no reason to stay down, since the sweep finds every row."""

    trigger: Fault | None
    indexes: Fault | None
    rows: Fault | None

    def __iter__(self) -> Iterator[Fault]:
        """What there is to say."""
        return (each for each in (self.trigger, self.indexes, self.rows) if each)


_INDEXED = {"id": "id", "create_time": "create_time, id"}  # rows of one commit share their create_time


async def condition(connection: Connection, source: Source, table: str) -> Condition:
    """Look at the trigger, the indexes and row security; each fault as a line with what the owner has to do.

    PushdError when the name leads to another table by now. While it leads to none, somebody may be at it.
    """
    parameters = {"oid": source.oid, "channel": source.channel, "table": table}
    ((trigger, unindexed, size, hidden, named),) = await query(connection, "condition", parameters)
    if named is None:
        gone = Fault(
            f"no table is called {table} any more, and no row can be claimed",
            "the table's owner",
            f"alter table … rename to {table.rpartition('.')[2]};  -- or create it anew: pushd finds it by itself",
        )
        return Condition(gone, None, None)
    if named != source.oid:
        raise PushdError(f"another table is called {table} now than at the start: starting again finds it")
    fixes = {
        "missing": f"select pushd.watch('{table}');",
        "outdated": f"select pushd.watch('{table}');",
        "foreign": f"drop trigger pushd_ring on {table};  select pushd.watch('{table}');",
        "disabled": f"alter table {table} enable trigger pushd_ring;",
    }
    trigger_fault = index_fault = row_fault = None
    if trigger in fixes:
        trigger_fault = Fault(
            f"the trigger on {table} is {trigger}, rows are found by sweeping only",
            "the role that applied sql/",
            fixes[trigger],
        )
    if unindexed:
        index_fault = Fault(
            f"{table} has no index that begins with {' or '.join(unindexed)}: each look for rows, every 5 s and more "
            f"often, reads the whole table ({size})",
            "the table's owner",
            " ".join(f"create index concurrently on {table} ({_INDEXED[column]});" for column in unindexed)
            + "  -- as in sql/optional/create_time_index.sql",
        )
    if hidden:
        row_fault = Fault(
            f"row level security is on for {table}, and no policy lets pushd see any row",
            "the table's owner",
            f"create policy pushd_sees_all on {table} for select to pushd_daemon using (true);",
        )
    return Condition(trigger_fault, index_fault, row_fault)


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

    def younger(age: str) -> sql.Composed:
        return sql.SQL(time.younger).format(age=sql.Placeholder(age), timezone=timezone)

    columns = [
        sql.SQL("abbrev(r.{0}) as {0}" if types[column] in {"inet", "cidr"} else "r.{0}::text as {0}").format(
            sql.Identifier(column)
        )
        for column in _TEXT_COLUMNS
    ]
    return time.earliest, {
        "table": sql.Identifier(schema, name),
        "row_time": sql.SQL(time.row_time).format(timezone=timezone),
        "plausible": sql.SQL(time.plausible),
        "fresh": younger("data_expiry"),
        "stale": sql.SQL("{} and not {}").format(younger("look_back"), younger("data_expiry")),
        "columns": sql.SQL(",\n    ").join(columns),
        "names": sql.SQL(",\n  ").join(sql.Identifier("c", column) for column in _TEXT_COLUMNS),
    }
