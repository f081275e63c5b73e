"""The files of sql/: in order, the very bytes that a DBA applies with psql."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import psycopg

from pushd.errors import PushdError, SchemaError
from pushd.postgres import STATEMENT_BOUND, Connection, bounded, brief

_NAME = re.compile(r"(\d{4})_(\w+)\.(up|down)\.sql")

_ADVICE: dict[type[psycopg.Error], str] = {
    psycopg.errors.InsufficientPrivilege: ": do it as the owner of the schema and the table, with --dsn",
    psycopg.errors.LockNotAvailable: ": writers were busy, try again",
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: its number, its name, and the two files."""

    version: int
    name: str
    up: str
    down: str

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


def available() -> list[Migration]:
    """All steps there are, in order."""
    texts: dict[tuple[int, str], dict[str, str]] = {}
    for file in directory().iterdir():
        if matched := _NAME.fullmatch(file.name):
            version, name, direction = matched.groups()
            texts.setdefault((int(version), name), {})[direction] = file.read_text("utf-8")
    return [Migration(version, name, **both) for (version, name), both in sorted(texts.items())]


def directory() -> Traversable:
    """Inside the package once it is installed; beside it in a checkout."""
    installed = files("pushd").joinpath("sql")
    return installed if installed.is_dir() else Path(__file__).parent.parent / "sql"


async def applied(connection: Connection) -> set[int]:
    """The versions in force in this database; none where there is no pushd."""
    async with bounded(connection, STATEMENT_BOUND):
        cursor = await connection.execute("select to_regclass('pushd.migration') is not null")
        found = await cursor.fetchone()
        if not found or not found[0]:
            return set()
        cursor = await connection.execute("select version from pushd.migration")
        return {version for (version,) in await cursor.fetchall()}


def steps(in_force: set[int], to: int | None, *, down: bool) -> Iterator[tuple[Migration, str]]:
    """What is to be run, and which text of it: up to version `to` (all), or down to it (none left)."""
    every = available()
    if down:
        for migration in reversed(every):
            if migration.version in in_force and migration.version > (to or 0):
                yield migration, migration.down
    else:
        for migration in every:
            if migration.version not in in_force and (to is None or migration.version <= to):
                yield migration, migration.up


async def run(connection: Connection, migration: Migration, text: str) -> None:
    """Run one file in one transaction, as psql -1 does; PushdError with PostgreSQL's reason when it fails."""
    try:
        async with bounded(connection, STATEMENT_BOUND), connection.transaction():
            await connection.execute(text)
    except psycopg.Error as error:
        advice = next((what for kind, what in _ADVICE.items() if isinstance(error, kind)), "")
        raise PushdError(f"{migration}: {brief(error)}; nothing of it was applied{advice}") from error


async def require_all(connection: Connection) -> None:
    """SchemaError unless every step is in force; one more than we know is a newer pushd's, and no harm."""
    in_force = await applied(connection)
    missing = [migration for migration in available() if migration.version not in in_force]
    if missing:
        names = ", ".join(map(str, missing))
        raise SchemaError(f"the database lacks {names}: apply sql/ with psql, or run pushctl migrate, as its owner")
