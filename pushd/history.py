"""The ledger as people ask for it: which deliveries, or how many of them, the newest first.

Whoever may read the view pushd.history may ask: the daemon's role, and any
member of pushd_reader.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from pushd import config, table
from pushd.errors import PushdError
from pushd.postgres import STATEMENT_BOUND, Connection, bounded, query, statement

COLUMNS = (
    "row_id",
    "row_time",
    "endpoint",
    "state",
    "attempts",
    "status",
    "response_ms",
    "error",
    "claimed_at",
    "settled_at",
    "daemon",
)
COUNTS = ("endpoint", "state", "deliveries", "oldest", "newest")
STATES = ("claimed", "delivered", "failed", "expired", "filtered")

Row = tuple[Any, ...]

_BOUND = 60.0  # seconds without anything more to show
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment so many seconds before now, by the database's clock."""

    seconds: float


Moment = Ago | datetime


@dataclass(frozen=True, slots=True)
class Question:
    """Which deliveries; None asks for all. `since` and `until` are about the time of the row, and inclusive."""

    row_id: int | None = None
    endpoint: str | None = None
    states: Sequence[str] = ()
    since: Moment | None = None
    until: Moment | None = None

    def parameters(self, limit: int | None = None) -> dict[str, Any]:
        since, until = self.since, self.until
        return {
            "row_id": self.row_id,
            "endpoint": self.endpoint,
            "states": list(self.states) or None,
            "since": since if isinstance(since, datetime) else None,
            "since_ago": since.seconds if isinstance(since, Ago) else None,
            "until": until if isinstance(until, datetime) else None,
            "until_ago": until.seconds if isinstance(until, Ago) else None,
            "limit": limit,
        }


async def pages(connection: Connection, question: Question, limit: int | None) -> AsyncGenerator[Sequence[Row], None]:
    """The newest `limit` deliveries, or all, a tuple of COLUMNS each, as they come; PushdError if it takes too long."""
    await _plan_for_what_is_asked(connection)
    try:
        async with connection.transaction(), connection.cursor("history") as cursor:
            async with bounded(connection, _BOUND):
                await cursor.execute(statement("history"), question.parameters(limit))
            while True:
                async with bounded(connection, _BOUND):
                    page = await cursor.fetchmany(_PAGE)
                if page:
                    yield page
                if len(page) < _PAGE:
                    return
    except TimeoutError as error:
        raise _too_much() from error


async def counts(connection: Connection, question: Question) -> Sequence[Row]:
    """How many there are, a tuple of COUNTS each; PushdError if it takes too long."""
    await _plan_for_what_is_asked(connection)
    try:
        async with bounded(connection, _BOUND):
            cursor = await connection.execute(statement("history_counts"), question.parameters())
            return await cursor.fetchall()
    except TimeoutError as error:
        raise _too_much() from error


async def narrowed(connection: Connection, question: Question, source: config.Source) -> Question:
    """The same about one row, with the time by which the ledger is sorted, where the watched table tells it.

    Without it all of the ledger has to be gone through. A row that the ledger knows by another time, since its
    create_time was changed, is looked for in all of it.
    """
    if question.row_id is None or question.since is not None or question.until is not None:
        return question
    try:
        parts = (await table.inspect(connection, source)).parts
        text = sql.SQL(statement("row_time")).format(**parts)
        async with bounded(connection, STATEMENT_BOUND):
            cursor = await connection.execute(text, {"id": question.row_id})
            found = await cursor.fetchone()
    except (PushdError, psycopg.Error):  # gone, not to be read by this role, not to be understood
        return question
    if not found:
        return question
    narrow = replace(question, since=found[0], until=found[0])
    known = await counts(connection, replace(narrow, endpoint=None, states=()))
    return narrow if known else question


async def _plan_for_what_is_asked(connection: Connection) -> None:
    """Our sessions plan once for all values; here it is these that decide where to begin."""
    await query(connection, "plan_anew", {})


def _too_much() -> PushdError:
    return PushdError(f"nothing more within {_BOUND:g} s: ask for less of the ledger with --since and --until")
