"""The files of sql/: repeatable, reversible, and harmless to the application."""

import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from conftest import Database, connect, migrate, new_database
from psycopg import sql

from pushd import migrations

SQL = Path(__file__).parent.parent / "sql"
KEY = 1886745448

# Whatever a migration may leave behind, as rows that can be compared; oids and times left out.
CATALOG = """
select 'relation', n.nspname, c.relname, c.relkind::text, c.reloptions::text, c.relacl::text, obj_description(c.oid, 'pg_class')
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname in ('pushd', 'public')
union all
select 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text || a.attidentity::text,
  a.attacl::text, concat(col_description(c.oid, a.attnum), '/', pg_get_expr(d.adbin, d.adrelid))
from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname in ('pushd', 'public') and a.attnum > 0
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), null, null, null
from pg_constraint where connamespace in (select oid from pg_namespace where nspname in ('pushd', 'public'))
union all
select 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text, null, obj_description(oid, 'pg_trigger')
from pg_trigger where not tgisinternal
union all
select 'function', p.oid::regprocedure::text, md5(prosrc), proconfig::text, prosecdef::text, proacl::text, obj_description(p.oid, 'pg_proc')
from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace where n.nspname in ('pushd', 'public')
union all
select 'schema', nspname, nspacl::text, null, null, null, obj_description(oid, 'pg_namespace')
from pg_namespace where nspname in ('pushd', 'public')
union all
select 'role', rolname, rolcanlogin::text, rolsuper::text, rolcreaterole::text, rolcreatedb::text,
  coalesce((select setconfig::text from pg_db_role_setting where setrole = r.oid and setdatabase = 0), '')
from pg_roles as r where rolname like 'pushd%'
order by 1, 2, 3, 4
"""


def catalog(database: Database) -> list[tuple[object, ...]]:
    return database.execute(CATALOG)


def take_back(database: Database) -> None:
    with connect(database.dsn) as connection:
        for migration in reversed(migrations.available()):
            with connection.transaction():
                connection.execute(migration.down)


def test_files_come_in_pairs_and_in_order() -> None:
    """0001 up and down, 0002 up and down, and so on without a gap."""
    versions = [migration.version for migration in migrations.available()]
    assert versions == list(range(1, len(versions) + 1))
    assert len(list(SQL.glob("*.sql"))) == 2 * len(versions)


@pytest.mark.parametrize("file", sorted(SQL.glob("*.sql")), ids=lambda file: file.name)
def test_every_file_states_what_a_dba_asks_first(file: Path) -> None:
    """Locks, the way back, whether it may be repeated; and it waits for no lock for long."""
    text = file.read_text("utf-8")
    header = text[: text.index("\n\n")]
    for question in (
        "-- locks: ",
        "-- reversible: ",
        "-- repeatable: ",
        f"psql -X -1 -v ON_ERROR_STOP=1 -f sql/{file.name}",
    ):
        assert question in header, question
    assert "\nset local lock_timeout = '500ms';\n" in text
    assert not re.search(r"^\\", text, re.MULTILINE), "psql's own commands would need psql"


def test_applying_twice_changes_nothing(empty_database: Database) -> None:
    """A DBA may run them all again, at any time."""
    migrate(empty_database)
    once = catalog(empty_database)
    migrate(empty_database)
    assert catalog(empty_database) == once


def test_up_down_up_leaves_the_same_catalog(empty_database: Database) -> None:
    """Nothing is left over, nothing is missing."""
    migrate(empty_database)
    before = catalog(empty_database)
    take_back(empty_database)
    left = catalog(empty_database)
    assert not [row for row in left if "pushd" in str(row[:4]) and row[0] != "role"]
    take_back(empty_database)
    migrate(empty_database)
    assert catalog(empty_database) == before


def test_ordinary_role_can_apply_and_take_back(server: str, empty_database: Database) -> None:
    """One that may create roles and owns the database, and is not a superuser; the roles may be there already."""
    migrate(empty_database)  # so that they are, made by another
    owner = f"owner_{empty_database.name}"
    with new_database(server) as database:
        database.execute(f"create role {owner} login createrole password 'pushd-test'")
        try:
            database.execute(
                f"alter database {database.name} owner to {owner}; grant create on schema public to {owner}"
            )
            with connect(database.as_user(owner)) as connection:
                for migration in migrations.available():
                    with connection.transaction():
                        connection.execute(migration.up)
                for migration in reversed(migrations.available()):
                    with connection.transaction():
                        connection.execute(migration.down)
            assert database.execute("select count(*) from pg_namespace where nspname = 'pushd'") == [(0,)]
            assert database.execute("select count(*) from ocr_wallet_info") == [(0,)]
        finally:
            database.execute(f"drop owned by {owner} cascade; alter database {database.name} owner to current_user")
            database.execute(f"drop role {owner}")


def test_down_keeps_the_applications_table_and_rows(database: Database) -> None:
    """Also where pushd had created it."""
    row_id = database.insert()
    take_back(database)
    assert database.execute("select id from ocr_wallet_info") == [(row_id,)]


def test_out_of_order_is_refused(empty_database: Database) -> None:
    """Each file says which one it needs."""
    second = migrations.available()[1]
    with (
        connect(empty_database.dsn) as connection,
        pytest.raises(psycopg.Error, match=r"does not exist|apply 0001_schema first"),
    ):
        connection.execute(second.up)
    migrate(empty_database)
    with connect(empty_database.dsn) as connection, pytest.raises(psycopg.Error, match="take back 0003_doorbell first"):
        connection.execute(second.down)


def test_psql_alone_can_apply_them(server: str, empty_database: Database) -> None:
    """With the very command that stands in each file."""
    psql = shutil.which("psql")
    if psql is None:
        from pushd.demo.postgres import Cluster  # noqa: PLC0415 (only where psql is missing)

        with Cluster() as cluster:
            for file in sorted(SQL.glob("*.up.sql")):
                cluster.psql("-1", "-f", file)
        return
    assert server
    for file in [*sorted(SQL.glob("*.up.sql")), *sorted(SQL.glob("*.down.sql"), reverse=True)]:
        done = subprocess.run(
            [psql, "-X", "-1", "-v", "ON_ERROR_STOP=1", "-d", empty_database.dsn, "-f", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "NOTICE" not in done.stderr


def test_everything_is_commented(database: Database) -> None:
    """Tables, views, columns of tables, functions and the trigger say what they are."""
    silent = database.execute(
        """
        select c.relname from pg_class as c
        where c.relnamespace = 'pushd'::regnamespace and c.relkind in ('r', 'v') and obj_description(c.oid) is null
        union all
        select p.proname from pg_proc as p
        where p.pronamespace = 'pushd'::regnamespace and obj_description(p.oid) is null
        union all
        select tgname from pg_trigger where tgname = 'pushd_ring' and obj_description(oid, 'pg_trigger') is null
        union all
        select c.relname || '.' || a.attname from pg_class as c join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace = 'pushd'::regnamespace and c.relkind = 'r' and a.attnum > 0 and a.attname <> 'id'
          and c.relname || '.' || a.attname <> all (array['daemon.name', 'endpoint.name'])
          and col_description(c.oid, a.attnum) is null
        """
    )
    assert silent == []


# the application's table --------------------------------------------------------


def test_existing_table_is_not_altered(empty_database: Database) -> None:
    """Wherever it lives and whatever else it has: the same columns, the same rows, no other table."""
    empty_database.execute("create schema app")
    empty_database.execute(
        """
        create table app.ocr_wallet_info (
          id integer generated always as identity primary key, source_ip inet, msg_id bigint, group_id varchar(50),
          wallet_code varchar(64) not null, serial_no text, wx_id text, wx_nick_name text, pic_url text,
          extra jsonb default '{}', create_time timestamp not null default now()
        )
        """
    )
    columns = "select attname, atttypid, attnotnull, atttypmod from pg_attribute where attrelid = 'app.ocr_wallet_info'::regclass"
    before = empty_database.execute(columns)
    migrate(empty_database)
    assert empty_database.execute(columns) == before
    assert empty_database.execute("select to_regclass('public.ocr_wallet_info')") == [(None,)]
    assert empty_database.execute("select tgrelid::regclass::text from pg_trigger where tgname = 'pushd_ring'") == [
        ("app.ocr_wallet_info",)
    ]


def test_of_two_tables_none_is_watched_until_one_is_named(empty_database: Database) -> None:
    """Which is meant, only the DBA knows."""
    for schema in ("one", "two"):
        empty_database.execute(f"create schema {schema}")
        empty_database.execute(f"create table {schema}.ocr_wallet_info (id bigint)")
    migrate(empty_database)
    assert empty_database.execute("select count(*) from pg_trigger where tgname = 'pushd_ring'") == [(0,)]


def test_watch_and_unwatch_are_idempotent(database: Database) -> None:
    """Twice is as once; and off is as never."""
    database.execute("select pushd.watch('ocr_wallet_info')")
    watched = catalog(database)
    database.execute("select pushd.watch('public.ocr_wallet_info')")
    assert catalog(database) == watched
    for _ in range(2):
        database.execute("select pushd.unwatch('ocr_wallet_info')")
        assert database.execute("select count(*) from pg_trigger where tgname = 'pushd_ring'") == [(0,)]
        assert database.execute("select has_any_column_privilege('pushd_daemon', 'ocr_wallet_info', 'select')") == [
            (False,)
        ]
    database.execute("select pushd.watch('ocr_wallet_info')")
    assert catalog(database) == watched


def test_unwatch_takes_the_rights_on_columns_of_any_name(database: Database) -> None:
    """Also of those that were renamed since."""
    database.execute("alter table ocr_wallet_info rename column serial_no to number")
    database.execute("select pushd.unwatch('ocr_wallet_info')")
    assert database.execute("select has_any_column_privilege('pushd_daemon', 'ocr_wallet_info', 'select')") == [
        (False,)
    ]


def test_renamed_table_gets_a_trigger_of_its_new_name(database: Database) -> None:
    """Watching it again is enough."""
    database.execute("alter table ocr_wallet_info rename to wallets")
    database.execute("select pushd.watch('wallets')")
    database.execute("alter table wallets rename to ocr_wallet_info")
    database.execute("select pushd.watch('ocr_wallet_info')")
    arguments = "select encode(tgargs, 'escape') from pg_trigger where tgname = 'pushd_ring'"
    assert database.execute(arguments) == [(r"pushd_ocr_wallet_info\000",)]


@pytest.mark.parametrize(
    ("create", "says"),
    [
        ("create table ocr (id bigint, create_time timestamptz)", "has no column source_ip, msg_id"),
        ("create view ocr as select * from ocr_wallet_info", "is not a table"),
        (f"create table {'x' * 60} (like ocr_wallet_info)", "is too long: a channel name has 63 bytes"),
    ],
)
def test_watch_refuses_what_cannot_work(database: Database, create: str, says: str) -> None:
    """With a reason, and before anything is changed."""
    database.execute(create)
    name = create.split()[2]
    with pytest.raises(psycopg.Error, match=says):
        database.execute("select pushd.watch(%s)", name)


def test_partitioned_table_can_be_watched(empty_database: Database) -> None:
    """One trigger on the parent; the bell rings for rows of all partitions."""
    empty_database.execute(
        """
        create table ocr_wallet_info (
          id bigint, source_ip text, msg_id text, group_id text, wallet_code text, serial_no text, wx_id text,
          wx_nick_name text, pic_url text, create_time timestamptz not null default now(), primary key (id, create_time)
        ) partition by range (create_time)
        """
    )
    empty_database.execute("create table part partition of ocr_wallet_info default")
    migrate(empty_database)
    assert rung(empty_database, "insert into ocr_wallet_info (id, wallet_code) values (7, 'A'), (8, 'B')") == ["7,8"]


# the doorbell -------------------------------------------------------------------


def rung(database: Database, *statements: str, asleep: bool = True) -> list[str]:
    """The payloads that a sleeping (or awake) daemon hears of these statements, each its own transaction."""
    with connect(database.dsn) as daemon, connect(database.dsn) as writer:
        daemon.execute("listen pushd_ocr_wallet_info")
        if asleep:
            daemon.execute("select pg_advisory_lock(%s, 'ocr_wallet_info'::regclass::oid::integer)", [KEY])
        for statement in statements:
            writer.execute(statement)
        return [notify.payload for notify in daemon.notifies(timeout=0.2)]


def test_sleeping_daemon_is_told_the_ids(database: Database) -> None:
    """One notification a statement, of the candidates only."""
    assert rung(
        database,
        "insert into ocr_wallet_info (id, wallet_code) values (1, 'A'), (2, null), (3, ''), (4, 'B')",
        "insert into ocr_wallet_info (id, wallet_code) values (5, null)",
        "update ocr_wallet_info set wallet_code = 'C'",
        "insert into ocr_wallet_info (id, wallet_code) select 6, 'D' where false",
    ) == ["1,4"]


@pytest.mark.parametrize("kind", ["bigint", "varchar(20)", "uuid"])
def test_writer_is_not_hurt_by_a_wallet_code_of_another_type(database: Database, kind: str) -> None:
    """The trigger compares it as text, whatever it is: no INSERT fails because of us."""
    value = "gen_random_uuid()" if kind == "uuid" else "7"
    database.execute(f"alter table ocr_wallet_info alter wallet_code type {kind} using null")
    assert rung(
        database,
        f"insert into ocr_wallet_info (id, wallet_code) values (1, {value}), (2, null)",
    ) == ["1"]


@pytest.mark.parametrize("change", ["rename id to number", "rename wallet_code to code", "drop wallet_code"])
def test_writer_is_not_hurt_by_a_column_that_is_gone(database: Database, change: str) -> None:
    """The daemon is told to look for itself, and it is the daemon that says what is wrong."""
    database.execute(f"alter table ocr_wallet_info {change}")
    assert rung(database, "insert into ocr_wallet_info (wx_id) values ('A')") == ["*"]
    assert database.execute("select wx_id from ocr_wallet_info") == [("A",)]


def test_many_rows_are_a_star(database: Database) -> None:
    """A hundred are named, more are not; the payload stays far below 8,000 bytes with the largest ids."""
    big = 9223372036854775000
    insert = "insert into ocr_wallet_info (id, wallet_code) select {} + n, 'A' from generate_series(1, {}) as n"
    hundred, star = rung(database, insert.format(big, 100), insert.format(0, 101))
    assert hundred.count(",") == 99
    assert len(hundred) <= 2000
    assert star == "*"


def test_nobody_is_told_while_no_daemon_sleeps(database: Database) -> None:
    """No lock held, no notification, no tax on the writers' commits."""
    assert rung(database, "insert into ocr_wallet_info (wallet_code) values ('A')", asleep=False) == []


def test_writer_that_rang_no_bell_holds_the_lock_until_it_ends(database: Database) -> None:
    """So the daemon's exclusive lock is granted only when all such writers can be seen."""
    ask = "select pg_try_advisory_lock(%s, 'ocr_wallet_info'::regclass::oid::integer)"
    with connect(database.dsn) as writer, connect(database.dsn) as daemon:
        writer.execute("begin")
        writer.execute("insert into ocr_wallet_info (wallet_code) values ('A')")
        assert daemon.execute(ask, [KEY]).fetchall() == [(False,)]
        writer.execute("commit")
        assert daemon.execute(ask, [KEY]).fetchall() == [(True,)]


def test_writer_needs_no_rights_of_pushd(database: Database) -> None:
    """An application's role that may insert, and nothing else, inserts; asleep or not, whatever its search_path."""
    role = sql.Identifier(f"writer_{database.name}")
    with connect(database.dsn) as owner:
        owner.execute(sql.SQL("create role {}").format(role))
        try:
            owner.execute(sql.SQL("grant insert on ocr_wallet_info to {}").format(role))
            owner.execute(sql.SQL("grant usage on sequence ocr_wallet_info_id_seq to {}").format(role))
            for lock in ("select", "select pg_advisory_lock({}, 'ocr_wallet_info'::regclass::oid::integer)"):
                with connect(database.dsn) as daemon, connect(database.dsn) as writer:
                    daemon.execute(lock.format(KEY))
                    writer.execute(sql.SQL("set role {}").format(role))
                    writer.execute("set search_path = ''")
                    writer.execute("insert into public.ocr_wallet_info (wallet_code) values ('A')")
        finally:
            owner.execute(sql.SQL("drop owned by {}").format(role))
            owner.execute(sql.SQL("drop role {}").format(role))


# what the daemon may do ---------------------------------------------------------


def test_daemons_role_has_what_it_needs_and_no_more(database: Database) -> None:
    """It reads the ten columns and works on its own tables; nothing is its own, and it changes nothing of others."""
    with connect(database.daemon_dsn) as daemon:
        daemon.execute("select id, wallet_code, create_time from ocr_wallet_info")
        daemon.execute("select * from pushd.history")
        for forbidden in (
            "insert into ocr_wallet_info (wallet_code) values ('A')",
            "update ocr_wallet_info set wallet_code = 'A'",
            "delete from ocr_wallet_info",
            "create table pushd.x (a int)",
            "drop table pushd.delivery",
            "delete from pushd.endpoint",
            "delete from pushd.migration",
            "select pushd.unwatch('ocr_wallet_info')",
            "create role x",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                daemon.execute(forbidden)
        assert daemon.execute("show synchronous_commit").fetchall() == [("off",)]


def test_reader_sees_the_views_only(database: Database) -> None:
    """For people and for monitoring."""
    with connect(database.dsn) as connection:
        connection.execute("set role pushd_reader")
        connection.execute("select * from pushd.history")
        for table in ("pushd.delivery", "ocr_wallet_info"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}")


def test_settling_is_a_heap_only_update(database: Database) -> None:
    """The claim leaves room in its page for the outcome, and no index has to be touched for it."""
    database.execute(
        """
        insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id)
        select now(), n, 1, 1 from generate_series(1, 5000) as n
        """
    )
    database.execute(
        "update pushd.delivery set state = 1, settled_at = now(), attempts = 1, status = 200, response_ms = 5"
    )
    database.execute("select pg_stat_force_next_flush()")
    ((updated, hot),) = database.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'delivery'"
    )
    assert updated == 5000
    assert hot / updated > 0.95
