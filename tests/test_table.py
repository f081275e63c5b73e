"""What a table has to be so that it can be watched, and what is said when it is not."""

import re
from collections.abc import AsyncIterator

import pytest
from conftest import Database

from pushd import config
from pushd.errors import PushdError, SchemaError
from pushd.postgres import Connection, connect
from pushd.table import Condition, condition, inspect


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with connect(database.daemon_dsn, "test") as connection:
        yield connection


async def condition_of(connection: Connection, name: str = "public.ocr_wallet_info") -> Condition:
    return await condition(connection, await inspect(connection, config.Source(table=name)), name)


@pytest.mark.parametrize(
    ("prepare", "source", "says"),
    [
        ("select", {"table": "nowhere"}, "source.table nowhere: no such table in this database"),
        ("select", {"table": "not a name"}, "source.table not a name: "),
        ("create view v as select 1", {"table": "v"}, "source.table v is not a table"),
        (
            "alter table ocr_wallet_info drop column wx_id, drop column pic_url",
            {},
            "public.ocr_wallet_info has no column wx_id, pic_url",
        ),
        (
            "revoke select (wallet_code, wx_id) on ocr_wallet_info from pushd_daemon",
            {},
            r"may not read public.ocr_wallet_info \(wallet_code, wx_id\): as the role that applied sql/, run  select pushd.watch",
        ),
        (
            "alter table ocr_wallet_info alter create_time drop default, alter create_time type date",
            {},
            "create_time of public.ocr_wallet_info is date; pushd can read timestamp with time zone",
        ),
        (
            "alter table ocr_wallet_info alter create_time type timestamp",
            {},
            "has no time zone: say which is meant with source.timezone",
        ),
        ("select", {"timezone": "Mars/Olympus"}, "source.timezone Mars/Olympus is not known to PostgreSQL"),
    ],
)
async def test_table_that_cannot_be_watched_is_named_with_the_way_out(
    database: Database, connection: Connection, prepare: str, source: dict[str, str], says: str
) -> None:
    """One line, and what to do."""
    database.execute(prepare)
    with pytest.raises(SchemaError, match=says) as caught:
        await inspect(connection, config.Source.model_validate(source))
    assert caught.value.exit_code == 78


async def test_table_as_shipped_has_no_faults(connection: Connection) -> None:
    """Trigger and indexes are there."""
    assert list(await condition_of(connection)) == []


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        ("drop trigger pushd_ring on ocr_wallet_info", "is missing, .* run  select pushd.watch"),
        ("alter table ocr_wallet_info disable trigger pushd_ring", "is disabled, .* enable trigger pushd_ring;"),
        ("alter table ocr_wallet_info enable replica trigger pushd_ring", "is disabled, "),
        (
            (
                "drop trigger pushd_ring on ocr_wallet_info;"
                "create function f() returns trigger language plpgsql as 'begin return null; end';"
                "create trigger pushd_ring after insert on ocr_wallet_info execute function f()"
            ),
            "is foreign, .* drop trigger pushd_ring on public.ocr_wallet_info;  select pushd.watch",
        ),
        (
            (
                "drop table ocr_wallet_info;"
                "create table former (id bigint primary key, source_ip text, msg_id text, group_id text, wallet_code text,"
                "  serial_no text, wx_id text, wx_nick_name text, pic_url text, create_time timestamptz);"
                "select pushd.watch('former');"
                "alter table former rename to ocr_wallet_info"
            ),
            "is outdated, .* run  select pushd.watch",
        ),
    ],
    ids=["missing", "disabled", "for replicas only", "foreign", "of a former name"],
)
async def test_trigger_that_does_not_ring_is_a_fault_with_its_fix(
    database: Database, connection: Connection, prepare: str, says: str
) -> None:
    """No reason to stay down, since the sweep finds the rows; and what is said to do, helps."""
    database.execute(prepare)
    fault = (await condition_of(connection)).trigger
    assert fault
    assert re.search(says, str(fault))
    database.execute(fault.fix)
    assert (await condition_of(connection)).trigger is None


async def test_missing_indexes_are_a_fault_with_their_price(database: Database, connection: Connection) -> None:
    """An index that is partial, invalid, no B-tree, or begins with another column does not count."""
    database.execute("drop index ocr_wallet_info_create_time_idx")
    database.execute("create index ranges on ocr_wallet_info using brin (create_time)")
    database.execute("create index partial on ocr_wallet_info (create_time) where wallet_code <> ''")
    database.execute("create index second on ocr_wallet_info (wallet_code, create_time)")
    fault = (await condition_of(connection)).indexes
    assert fault
    assert re.search(r"no index that begins with create_time: .* reads the whole table \(0 bytes\)", fault.what)
    database.execute("alter table ocr_wallet_info drop constraint ocr_wallet_info_pkey")
    assert "create_time or id" in str((await condition_of(connection)).indexes)


async def test_partitioned_table_is_judged_as_a_whole(database: Database, connection: Connection) -> None:
    """Its size is that of its partitions, its indexes those of the parent."""
    database.execute(
        "create schema other;"
        "create table other.ocr_wallet_info (like ocr_wallet_info including defaults) partition by range (create_time);"
        "create table other.all_times partition of other.ocr_wallet_info default;"
        "select pushd.watch('other.ocr_wallet_info');"
        "insert into other.ocr_wallet_info (wallet_code) values ('A')"
    )
    fault = (await condition_of(connection, "other.ocr_wallet_info")).indexes
    assert fault
    assert "create_time or id" in fault.what
    assert "(8192 bytes)" in fault.what
    database.execute("create index on other.ocr_wallet_info (create_time); create index on other.ocr_wallet_info (id)")
    assert list(await condition_of(connection, "other.ocr_wallet_info")) == []


async def test_row_security_without_a_policy_for_us_is_a_fault_with_its_fix(
    database: Database, connection: Connection
) -> None:
    """Every row would be invisible, and nothing would tell; what is said to do, helps."""
    database.execute("alter table ocr_wallet_info enable row level security")
    database.execute("create policy others on ocr_wallet_info for select to pushd_reader using (true)")
    fault = (await condition_of(connection)).rows
    assert fault
    assert "row level security is on for public.ocr_wallet_info" in fault.what
    database.execute(fault.fix)
    assert (await condition_of(connection)).rows is None


async def test_table_that_took_the_place_of_the_watched_one_is_noticed(
    database: Database, connection: Connection
) -> None:
    """As after a rename and a new table: nothing would be heard of the new one."""
    source = await inspect(connection, config.Source())
    database.execute("alter table ocr_wallet_info rename to former")
    found = await condition(connection, source, "public.ocr_wallet_info")
    assert str(found.trigger).startswith("no table is called public.ocr_wallet_info any more")
    database.execute("create table ocr_wallet_info (like former)")
    with pytest.raises(PushdError, match=r"another table is called public\.ocr_wallet_info now"):
        await condition(connection, source, "public.ocr_wallet_info")


async def test_schema_that_is_closed_to_us_is_told_with_its_fix(database: Database, connection: Connection) -> None:
    """Whoever ran pushd.watch may have been no one to grant it, and then PostgreSQL only warns; what is said helps."""
    database.execute("create schema closed; create table closed.ocr_wallet_info (like ocr_wallet_info)")
    database.execute("select pushd.watch('closed.ocr_wallet_info'); revoke usage on schema closed from pushd_daemon")
    source = config.Source(table="closed.ocr_wallet_info")
    with pytest.raises(SchemaError, match="permission denied for schema closed: as the schema's owner, run") as refused:
        await inspect(connection, source)
    database.execute(str(refused.value).partition(", run  ")[2])
    await inspect(connection, source)
