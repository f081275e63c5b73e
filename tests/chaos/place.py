"""Where a scenario's database lives: a server that others share, or one of its own that may be killed."""

import contextlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from proxy import Upstream
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pushd import migrations
from pushd.demo.postgres import Cluster

_PASSWORD = "pushd-test"  # of the daemon's role, for servers that ask for one
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Place:
    """A database with sql/ applied; `cluster` is there when the whole server is the scenario's own."""

    dsn: str  # of a superuser
    cluster: Cluster | None = None

    @property
    def daemon_dsn(self) -> str:
        return make_conninfo(self.dsn, user="pushd_daemon", password=_PASSWORD)

    @property
    def upstream(self) -> Upstream:
        """What a proxy in front of the server connects to."""
        parts: dict[str, Any] = conninfo_to_dict(self.dsn)
        host, port = str(parts.get("host") or "localhost"), int(parts.get("port") or 5432)
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)

    def through(self, port: int) -> str:
        """The daemon's connection string through a proxy; in the clear, so that the proxy sees who speaks."""
        plain: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "hostaddr": "",
            "sslmode": "disable",
            "gssencmode": "disable",
        }
        return make_conninfo(self.daemon_dsn, **plain)

    def processes(self) -> list[int]:
        """The server's processes, the first one first."""
        assert self.cluster is not None, "only a server of one's own may be touched"
        pid = self.cluster.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [pid, *map(int, children.split())]


@contextlib.contextmanager
def own_server() -> Iterator[Place]:
    """A server that may be stopped, frozen and killed."""
    with Cluster() as cluster:
        _prepare(cluster.dsn())
        yield Place(cluster.dsn(), cluster)


@contextlib.contextmanager
def shared_server(server: str) -> Iterator[Place]:
    """A database of one's own on a server that others use, too."""
    name = f"pushd_chaos_{os.getpid()}_{next(_numbers)}_{secrets.token_hex(3)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        place = Place(make_conninfo(server, dbname=name))
        # Roles belong to the whole server: two who alter one at the same time fail.
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(hashtextextended('pushd chaos', 0))")
            _prepare(place.dsn)
        yield place
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _prepare(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for migration in migrations.available():
            with connection.transaction():
                connection.execute(migration.up)
        connection.execute(sql.SQL("alter role pushd_daemon password {}").format(sql.Literal(_PASSWORD)))
