"""A real PostgreSQL for every test: PUSHD_TEST_DSN, else a container where Docker answers, else an embedded one."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pushd import migrations
from pushd.demo.postgres import Cluster
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver

_PASSWORD = "pushd-test"  # of the roles that tests make, for servers that ask for one
_numbers = itertools.count()


def connect(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(dsn, autocommit=True)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The connection string of a superuser on a server that tests may fill with databases."""
    if given := os.environ.get("PUSHD_TEST_DSN"):
        yield given
    elif _docker_answers():
        from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 (it asks for Docker when imported)

        with PostgresContainer("postgres:18", driver=None) as container:
            yield container.get_connection_url()
    else:
        with Cluster({"max_prepared_transactions": "10"}) as cluster:
            yield cluster.dsn()


def _docker_answers() -> bool:
    import docker  # noqa: PLC0415 (only where the question comes up)

    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    client = docker.from_env(version="1.41", timeout=3)  # a version given is a question less when it is made
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()


@dataclass(frozen=True)
class Database:
    """A database of one test's own."""

    dsn: str  # of a superuser, who is also the owner of everything
    name: str

    def as_user(self, user: str) -> str:
        return make_conninfo(self.dsn, user=user, password=_PASSWORD)

    @property
    def daemon_dsn(self) -> str:
        return self.as_user("pushd_daemon")

    def execute(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with connect(self.dsn) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def insert(self, **columns: Any) -> int:
        """Insert a row as an OCR service would, and answer its id."""
        values = {"wallet_code": "ABC123"} | columns
        query = sql.SQL("insert into ocr_wallet_info ({}) values ({}) returning id").format(
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        )
        with connect(self.dsn) as connection:
            ((row_id,),) = connection.execute(query, list(values.values())).fetchall()
        return int(row_id)

    def insert_aged(self, seconds: float, **columns: Any) -> int:
        """Insert a row that is so many seconds old."""
        ((at,),) = self.execute("select now() - %s * interval '1 second'", seconds)
        return self.insert(create_time=at, **columns)

    def history(self) -> dict[tuple[int, str], str]:
        """State by row and endpoint."""
        return {
            (row, name): state for row, name, state in self.execute("select row_id, endpoint, state from pushd.history")
        }

    async def until(self, query: str, expected: Any, within: float = 10.0) -> None:
        """Wait until a query answers this; there is no event to wait on in a database that others write to."""
        async with asyncio.timeout(within):
            while self.execute(query) != expected:  # noqa: ASYNC110 (see above)
                await asyncio.sleep(0.02)


@contextlib.contextmanager
def new_database(server: str, *, template: str = "template1") -> Iterator[Database]:
    name = f"pushd_test_{os.getpid()}_{next(_numbers)}"
    with connect(server) as connection:
        create = sql.SQL("create database {} template {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield Database(make_conninfo(server, dbname=name), name)
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def migrate(database: Database) -> None:
    """Apply sql/, and give the roles the password of tests."""
    with connect(database.dsn) as connection:
        for migration in migrations.available():
            with connection.transaction():
                connection.execute(migration.up)
        for role in ("pushd_daemon", "pushd_reader"):
            connection.execute(
                sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(_PASSWORD))
            )


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """A database with sql/ applied, to be copied."""
    with new_database(server) as database:
        migrate(database)
        yield database.name


@pytest.fixture
def empty_database(server: str) -> Iterator[Database]:
    with new_database(server) as database:
        yield database


@pytest.fixture
def database(server: str, template: str) -> Iterator[Database]:
    with new_database(server, template=template) as database:
        yield database


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


StartDaemon = Callable[..., Awaitable[DaemonProcess]]


@pytest.fixture
async def start_daemon(database: Database, tmp_path: Path) -> AsyncIterator[StartDaemon]:
    """Start the daemon on the test's database, ready; every key of [webhook] may be given."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(
            urls: Sequence[str],
            *,
            extra: str = "",
            log: str = "debug",
            ready: bool = True,
            environ: dict[str, str] | None = None,
            dsn: str | None = None,
            **webhook: Any,
        ) -> DaemonProcess:
            folder = tmp_path / f"daemon{next(_numbers)}"
            folder.mkdir()
            config = configuration(dsn or database.daemon_dsn, urls, extra=extra, log=log, **webhook)
            daemon = await stack.enter_async_context(DaemonProcess(folder, config, environ))
            if ready:
                await daemon.ready()
                await daemon.doorbell_held()
            return daemon

        yield start


def configuration(dsn: str, urls: Sequence[str], *, extra: str = "", log: str = "debug", **webhook: Any) -> str:
    keys = {"urls": list(urls), "retry_interval": "100ms", **webhook}
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())
    return f'[webhook]\n{lines}\n[database]\ndsn = "{dsn}"\n[server]\nport = 0\n[log]\nlevel = "{log}"\n{extra}'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | list) else f'"{value}"'
