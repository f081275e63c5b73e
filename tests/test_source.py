"""Claiming and sweeping: every shape that the application's table may have, each row once, and none lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from conftest import Database, migrate

from pushd import config, source
from pushd.ledger import register
from pushd.postgres import Connection, connect, statement
from pushd.registry import enlist
from pushd.source import Claimed, Source
from pushd.table import inspect

EXPIRY = 300.0


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connect(database.daemon_dsn, "test") as connection:
        yield connection


class Daemon:
    """What a claim needs, on one connection."""

    def __init__(self, connection: Connection, source: Source, daemon_id: int, endpoints: dict[int, str]) -> None:
        self.connection = connection
        self.source = source
        self.daemon_id = daemon_id
        self.endpoints = endpoints

    async def claim(self, *ids: int, data_expiry: float = EXPIRY) -> Claimed:
        return await self.source.claim(self.connection, ids, self.endpoints, self.daemon_id, data_expiry)

    async def sweep(self, size: int = 100, data_expiry: float = EXPIRY) -> list[int]:
        """All ids that a sweep finds, page by page."""
        found: list[int] = []
        position = None
        while True:
            page = await self.source.sweep(self.connection, self.endpoints, data_expiry, position, size)
            found += page.ids
            if len(page.ids) < size:
                return found
            position = page.position


async def daemon_on(
    connection: Connection, name: str = "a", *, endpoints: tuple[str, ...] = ("x",), table: config.Source | None = None
) -> Daemon:
    found = await inspect(connection, table or config.Source())
    ids = await register(connection, endpoints)
    registration, _ = await enlist(connection, name, EXPIRY)
    return Daemon(connection, found, registration.daemon_id, {id_: endpoint for endpoint, id_ in ids.items()})


# claiming -----------------------------------------------------------------------


async def test_row_is_claimed_once_for_each_endpoint(database: Database, connection: Connection) -> None:
    """Whoever comes second gets nothing, and says so by giving nothing."""
    first = await daemon_on(connection, "a", endpoints=("x", "y"))
    second = await daemon_on(connection, "b", endpoints=("x", "y"))
    rows = [database.insert(), database.insert()]
    claimed = await first.claim(*rows)
    assert {(each.row.id, each.endpoint) for each in claimed.fresh} == {(row, name) for row in rows for name in "xy"}
    assert await second.claim(*rows) == Claimed([], [])


async def test_two_daemons_at_once_share_without_doubles(database: Database, connection: Connection) -> None:
    """The primary key decides, and neither waits for ever nor fails."""
    database.execute("insert into ocr_wallet_info (id, wallet_code) select n, 'A' from generate_series(1, 300) as n")
    async with connect(database.daemon_dsn, "other") as other:
        one, two = await daemon_on(connection, "a"), await daemon_on(other, "b")
        up, down = await asyncio.gather(one.claim(*range(1, 301)), two.claim(*range(300, 0, -1)))
    taken = [each.row.id for each in [*up.fresh, *down.fresh]]
    assert sorted(taken) == list(range(1, 301))


async def test_unknown_ids_are_nothing(database: Database, connection: Connection) -> None:
    """A notification is only a hint: rolled back, deleted, or made up."""
    daemon = await daemon_on(connection)
    assert await daemon.claim(1, 2, -5, 2**63 - 1) == Claimed([], [])
    assert database.history() == {}


async def test_stale_row_is_settled_by_the_claim_itself(database: Database, connection: Connection) -> None:
    """One statement, so that no crash can come between."""
    daemon = await daemon_on(connection)
    row_id = database.insert_aged(EXPIRY + 1)
    claimed = await daemon.claim(row_id)
    assert [each.row.id for each in claimed.expired] == [row_id]
    assert not claimed.fresh
    assert database.history() == {(row_id, "x"): "expired"}


async def test_age_is_told_by_the_databases_clock(database: Database, connection: Connection) -> None:
    """On the monotonic clock of this process, whatever its wall clock says."""
    daemon = await daemon_on(connection)
    row_id = database.insert_aged(42)
    (delivery,) = (await daemon.claim(row_id)).fresh
    assert delivery.age(asyncio.get_running_loop().time()) == pytest.approx(42, abs=1)


async def test_row_that_cannot_be_read_costs_no_other(
    database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim is halved until the bad row stands alone; the others are claimed, and it is left alone for a while."""
    database.execute("create type odd as (n integer)")
    database.execute("create function odd_text(odd) returns text language sql as $$ select (1 / (($1).n - 7))::text $$")
    database.execute("create cast (odd as text) with function odd_text")
    database.execute("alter table ocr_wallet_info alter column serial_no type odd using null")
    daemon = await daemon_on(connection)
    database.execute(
        "insert into ocr_wallet_info (id, wallet_code, serial_no) select n, 'A', row(n)::odd from generate_series(1, 20) as n"
    )
    claimed = await daemon.claim(*range(1, 21))
    assert sorted(each.row.id for each in claimed.fresh) == [n for n in range(1, 21) if n != 7]
    database.execute("create or replace function odd_text(odd) returns text language sql as $$ select 'mended' $$")
    assert await daemon.claim(7) == Claimed()
    monkeypatch.setattr(source, "_LEFT_ALONE", 0.0)
    daemon = await daemon_on(connection)
    database.execute("create or replace function odd_text(odd) returns text language sql as $$ select (1 / 0)::text $$")
    assert await daemon.claim(7) == Claimed()
    database.execute("create or replace function odd_text(odd) returns text language sql as $$ select 'mended' $$")
    assert [each.row.serial_no for each in (await daemon.claim(7)).fresh] == ["mended"]


async def test_text_that_is_none_is_read_as_far_as_it_can_be(database: Database, connection: Connection) -> None:
    """PostgreSQL checks what comes in, but hands out what got in when it did not: that ends no daemon."""
    database.execute("create cast (bytea as text) without function")
    bad, good = [
        database.execute(f"insert into ocr_wallet_info (wallet_code, wx_id) values ('张三', {value}) returning id")[0][
            0
        ]
        for value in (r"'\x61ff62'::bytea::text", "'b'")
    ]
    claimed = await (await daemon_on(connection)).claim(bad, good)
    assert [(each.row.wx_id, each.row.wallet_code) for each in claimed.fresh] == [("a\ufffdb", "张三"), ("b", "张三")]


async def test_endpoints_of_the_first_start_are_owed_what_is_fresh_later_ones_what_comes(
    database: Database, connection: Connection
) -> None:
    """A new endpoint is not flooded with what others have had; on the first start there is no such history."""
    early = database.insert_aged(60)
    daemon = await daemon_on(connection, endpoints=("x",))
    assert [each.row.id for each in (await daemon.claim(early)).fresh] == [early]
    daemon = await daemon_on(connection, endpoints=("x", "new"))
    late = database.insert()
    claimed = await daemon.claim(early, late)
    assert {(each.row.id, each.endpoint) for each in claimed.fresh} == {(late, "x"), (late, "new")}


async def test_registering_again_uses_up_no_ids(connection: Connection) -> None:
    """A smallint lasts for 32,767 endpoints, not for as many restarts."""
    for _ in range(5):
        assert await register(connection, ["x", "y"]) == {"x": 1, "y": 2}
    assert await register(connection, ["z", "x"]) == {"x": 1, "z": 3}


# sweeping -----------------------------------------------------------------------


async def test_sweep_finds_what_nobody_has_taken_oldest_first(database: Database, connection: Connection) -> None:
    """In pages, whatever the order of ids; not the stale, not the taken, not those without a code."""
    daemon = await daemon_on(connection)
    rows = [database.insert_aged(age) for age in (10, 200, 100, 50, 299)]
    database.insert_aged(EXPIRY + 1)
    database.insert_aged(20, wallet_code="")
    await daemon.claim(rows[2])
    oldest_first = [rows[4], rows[1], rows[3], rows[0]]
    assert await daemon.sweep() == oldest_first
    assert await daemon.sweep(size=1) == await daemon.sweep(size=3) == oldest_first


async def test_sweep_pages_through_rows_of_the_same_time(database: Database, connection: Connection) -> None:
    """One commit gives many rows one create_time."""
    daemon = await daemon_on(connection)
    database.execute("insert into ocr_wallet_info (id, wallet_code) select n, 'A' from generate_series(-5, 20) as n")
    assert await daemon.sweep(size=4) == list(range(-5, 21))


async def test_sweep_is_for_each_endpoint(database: Database, connection: Connection) -> None:
    """What one has had, another may still be owed."""
    both = await daemon_on(connection, endpoints=("x", "y"))
    only_x = Daemon(connection, both.source, both.daemon_id, {k: v for k, v in both.endpoints.items() if v == "x"})
    row_id = database.insert()
    await only_x.claim(row_id)
    assert await only_x.sweep() == []
    assert await both.sweep() == [row_id]


async def test_sweep_of_many_rows_with_one_create_time_reads_a_page_of_them(
    database: Database, connection: Connection
) -> None:
    """As after one large commit: with our index, what has been swept already is not read again and sorted."""
    database.execute("insert into ocr_wallet_info (wallet_code) select 'A' from generate_series(1, 20000)")
    daemon = await daemon_on(connection)
    ((at,),) = database.execute("select max(create_time)::text from ocr_wallet_info")
    async with connection.transaction():
        await connection.execute(statement("in_order"))
        cursor = await connection.execute(
            "explain (analyze, format json) " + daemon.source._sweep.as_string(connection),  # noqa: SLF001 (as below)
            {
                "data_expiry": EXPIRY,
                "after_time": at,
                "after_id": 10_000,
                "endpoint_ids": list(daemon.endpoints),
                "size": 100,
            },
        )
        (([explained],),) = await cursor.fetchall()
    scans = [plan for plan in plans(explained["Plan"]) if plan.get("Relation Name") == "ocr_wallet_info"]
    assert [scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0) for scan in scans] == [100]


def plans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan and all below it."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from plans(each)


async def test_sweep_uses_the_index_on_create_time(database: Database, connection: Connection) -> None:
    """Where the DBA has made one, the size of the table does not matter, whatever the type of the column."""
    database.execute(
        "insert into ocr_wallet_info (wallet_code, create_time)"
        " select 'A', now() - n * interval '1 minute' from generate_series(1, 20000) as n"
    )
    database.execute("analyze ocr_wallet_info")
    daemon = await daemon_on(connection)
    statement = daemon.source._sweep.as_string(connection)  # noqa: SLF001 (the plan is what is promised)
    parameters = {
        "data_expiry": EXPIRY,
        "after_time": "-infinity",
        "after_id": 0,
        "endpoint_ids": list(daemon.endpoints),
        "size": 100,
    }
    cursor = await connection.execute(f"explain {statement}", parameters)
    plan = "\n".join(line for (line,) in await cursor.fetchall())
    assert "ocr_wallet_info_create_time_idx" in plan, plan


# the shapes of the table --------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "source"),
    [
        ("timestamptz", "timestamptz '2024-01-01 10:00:00.123456+00'", {}),
        ("timestamp", "timestamp '2024-01-01 18:00:00.123456'", {"timezone": "Asia/Shanghai"}),
        ("bigint", "1704103200", {}),
        ("bigint", "1704103200123", {}),
    ],
)
async def test_create_time_of_every_type_is_the_same_moment(
    empty_database: Database, kind: str, value: str, source: dict[str, str]
) -> None:
    """timestamptz, timestamp with a time zone said, epoch seconds, epoch milliseconds."""
    make_table(empty_database, f"create_time {kind}")
    async with connect(empty_database.daemon_dsn, "test") as connection:
        daemon = await daemon_on(connection, table=config.Source.model_validate(source))
        empty_database.execute(f"insert into ocr_wallet_info (id, wallet_code, create_time) values (1, 'A', {value})")
        (delivery,) = (await daemon.claim(1)).expired
        assert delivery.row.time_us // 1000 in {1704103200000, 1704103200123}
        assert delivery.row.create_time == "2024-01-01T10:00:00Z"
        assert empty_database.history() == {(1, "x"): "expired"}


NOW = {
    "timestamptz": "now() - n * interval '1 second'",
    "timestamp": "(now() - n * interval '1 second') at time zone 'Asia/Shanghai'",
    "bigint": "extract(epoch from now())::bigint - n",
    "bigint ": "(1000 * (extract(epoch from now()) - n))::bigint",
}


@pytest.mark.parametrize("kind", NOW)
async def test_fresh_window_of_every_type(empty_database: Database, kind: str) -> None:
    """Swept, claimed and settled alike."""
    make_table(empty_database, f"create_time {kind}")
    source = {"timezone": "Asia/Shanghai"} if kind == "timestamp" else {}
    async with connect(empty_database.daemon_dsn, "test") as connection:
        daemon = await daemon_on(connection, table=config.Source.model_validate(source))
        empty_database.execute(
            "insert into ocr_wallet_info (id, wallet_code, create_time)"
            f" select n, 'A', {NOW[kind]} from generate_series(15, 605, 10) as n"
        )
        fresh = list(range(295, 10, -10))
        assert await daemon.sweep(size=7) == fresh
        claimed = await daemon.claim(*range(15, 610, 10))
        assert [each.row.id for each in claimed.fresh] == fresh
        assert await daemon.sweep() == []
        now = asyncio.get_running_loop().time()
        assert {each.row.id: round((each.age(now) - 5) / 10) * 10 + 5 for each in claimed.fresh} == {
            n: n for n in fresh
        }


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            "timestamptz",
            ["'infinity'", "'-infinity'", "'2200-01-01 00:00:01+00'", "'4713-01-01 00:00:00+00 BC'", "null"],
        ),
        ("timestamp", ["'infinity'", "'-infinity'", "'2200-01-01 00:00:00'", "'4713-01-01 00:00:00 BC'", "null"]),
        ("bigint", ["9223372036854775807", "-9223372036854775808", "-1", "7258118400001", "null"]),
    ],
)
async def test_times_that_are_none_cost_no_other_row(empty_database: Database, kind: str, values: list[str]) -> None:
    """Infinity, before the epoch, beyond the year 2200, NULL: no age can be told, so they are no candidates."""
    make_table(empty_database, f"create_time {kind}")
    source = {"timezone": "UTC"} if kind == "timestamp" else {}
    async with connect(empty_database.daemon_dsn, "test") as connection:
        daemon = await daemon_on(connection, table=config.Source.model_validate(source))
        for number, value in enumerate(values):
            empty_database.execute(
                f"insert into ocr_wallet_info (id, wallet_code, create_time) values ({number}, 'A', {value})"
            )
        good = NOW[kind].replace("n *", "1 *").replace("- n", "- 1")
        empty_database.execute(f"insert into ocr_wallet_info (id, wallet_code, create_time) values (99, 'A', {good})")
        assert await daemon.sweep() == [99]
        claimed = await daemon.claim(*range(100))
        assert [each.row.id for each in [*claimed.fresh, *claimed.expired]] == [99]


@pytest.mark.parametrize(
    ("columns", "values", "row"),
    [
        ("source_ip inet", "'192.168.1.100'", {"source_ip": "192.168.1.100"}),
        ("source_ip inet", "'2001:db8::1'", {"source_ip": "2001:db8::1"}),
        ("source_ip inet", "'10.0.0.0/8'", {"source_ip": "10.0.0.0/8"}),
        ("msg_id bigint", "9223372036854775807", {"msg_id": "9223372036854775807"}),
        ("serial_no integer", "7", {"serial_no": "7"}),
        ("wallet_code varchar(20)", "'钱包'", {"wallet_code": "钱包"}),
        ("wallet_code bigint", "42", {"wallet_code": "42"}),
        (
            "group_id uuid",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            {"group_id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        ),
    ],
)
async def test_columns_of_other_types_are_read_as_text(
    empty_database: Database, columns: str, values: str, row: dict[str, str]
) -> None:
    """As PostgreSQL itself prints them; an address without a mask that nobody gave it."""
    make_table(empty_database, columns)
    async with connect(empty_database.daemon_dsn, "test") as connection:
        daemon = await daemon_on(connection)
        name = columns.split(maxsplit=1)[0]
        names, literals = (
            ("wallet_code", values) if name == "wallet_code" else (f"wallet_code, {name}", f"'A', {values}")
        )
        empty_database.execute(f"insert into ocr_wallet_info (id, {names}) values (1, {literals})")
        (delivery,) = (await daemon.claim(1)).fresh
        assert {key: getattr(delivery.row, key) for key in row} == row


def make_table(database: Database, *columns: str, name: str = "ocr_wallet_info") -> None:
    """A table with some columns of another type than usual, watched."""
    usual = dict.fromkeys(
        ("source_ip", "msg_id", "group_id", "wallet_code", "serial_no", "wx_id", "wx_nick_name"), "text"
    )
    usual |= {"pic_url": "text", "create_time": "timestamptz default now()"}
    usual |= dict(column.split(" ", 1) for column in columns)
    body = ", ".join(f"{column} {kind}" for column, kind in usual.items())
    database.execute(f"create table {name} (id bigserial primary key, {body})")
    migrate(database)
    database.execute("select pushd.watch(%s)", name)


async def test_table_in_another_schema_with_awkward_names(empty_database: Database) -> None:
    """Names are quoted wherever they are used."""
    empty_database.execute('create schema "App Schema"')
    make_table(empty_database, "extra jsonb", name='"App Schema"."OCR ""wallet"""')
    async with connect(empty_database.daemon_dsn, "test") as connection:
        daemon = await daemon_on(connection, table=config.Source(table='"App Schema"."OCR ""wallet"""'))
        empty_database.execute('insert into "App Schema"."OCR ""wallet""" (wallet_code) values (\'A\')')
        assert await daemon.sweep() == [1]
        assert len((await daemon.claim(1)).fresh) == 1
        assert daemon.source.channel == 'pushd_OCR "wallet"'
