"""The story of one row: where it is, what became of it at each endpoint, and what happens next.

What happens next is decided by a pure function from what was found. Nothing is
changed, and nothing is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from pushd import table
from pushd.config import Config
from pushd.event import Delivery, Row, envelope
from pushd.housekeeper import LOOK_BACK
from pushd.lease import LEASE
from pushd.postgres import STATEMENT_BOUND, Connection, bounded, query, statement
from pushd.source import Source

_SWEPT = 5.0  # seconds from one sweep to the next, at the most


@dataclass(frozen=True, slots=True)
class Chapter:
    """A row and one endpoint: `state` and what follows it are those of the ledger, None where that holds nothing.

    `owed` is None where the row's time is not known; attempts are counted when the outcome is recorded.
    """

    endpoint: str
    endpoint_id: int | None = None  # None: not registered yet
    since: datetime | None = None  # of older rows it is owed none; None: it is owed all
    owed: bool | None = None
    state: str | None = None
    attempts: int | None = None
    status: int | None = None
    response_ms: int | None = None
    error: str | None = None
    claimed_at: datetime | None = None
    settled_at: datetime | None = None
    daemon: str | None = None
    daemon_alive: bool = False


@dataclass(frozen=True, slots=True)
class Prospect:
    """What decides on a row besides the ledger; `age` in seconds by the database's clock, None if it has none."""

    found: bool  # in the watched table
    age: float | None
    data_expiry: float
    why_no_candidate: str | None
    enabled: bool  # webhook.enabled
    claiming: bool  # a daemon is alive that takes rows

    @property
    def fresh(self) -> bool:
        return self.age is not None and self.age < self.data_expiry

    @property
    def left(self) -> str:
        """How long it stays fresh."""
        return f"{self.data_expiry - (self.age or 0.0):.1f} s"


@dataclass(frozen=True, slots=True)
class Story:
    """All that can be told of a row."""

    row_id: int
    create_time: str | None  # as the table has it
    row: Row | None  # None also where its create_time is none that pushd can read
    prospect: Prospect
    chapters: Sequence[Chapter]

    @property
    def body(self) -> bytes | None:
        """What would be sent now; None for a row that would not be."""
        prospect = self.prospect
        if self.row is None or prospect.age is None or prospect.why_no_candidate:
            return None
        return envelope(self.row, prospect.age)

    def webhook_id(self, chapter: Chapter) -> str | None:
        """By which the receiver knows this delivery."""
        if self.row is None or chapter.endpoint_id is None:
            return None
        return Delivery(self.row, chapter.endpoint, chapter.endpoint_id, 0.0).webhook_id


async def tell(connection: Connection, config: Config, row_id: int) -> Story:
    """Find out everything about a row; SchemaError when the table is none that can be watched."""
    source = await table.inspect(connection, config.source)
    found = await _load(connection, source, row_id)
    coded, written, age, *columns = found or (False, None, None)
    row = Row._make(columns) if found and age is not None else None
    parameters = {
        "id": row_id,
        "time_us": row.time_us if row else None,
        "names": [endpoint.name for endpoint in config.webhook.endpoints],
    }
    chapters = [Chapter(*each) for each in await query(connection, "story_deliveries", parameters)]
    prospect = Prospect(
        found=found is not None,
        age=age,
        data_expiry=config.webhook.data_expiry,
        why_no_candidate=why_no_candidate(found=found is not None, coded=coded, written=written, age=age),
        enabled=config.webhook.enabled,
        claiming=bool(await query(connection, "members", {})),
    )
    return Story(row_id, written, row, prospect, chapters)


def why_no_candidate(*, found: bool, coded: bool, written: str | None, age: float | None) -> str | None:
    """Why a row is not one to be pushed, if it is not; rows are candidates whatever their age."""
    if not found:
        return "there is no such row in the watched table, or its transaction has not committed"
    if not coded:
        return "it has no wallet_code"
    if age is None:
        return "it has no create_time" if written is None else "its create_time is not a time from 1970 to 2200"
    return None


def what_next(chapter: Chapter, prospect: Prospect) -> str:
    """What happens to a row at an endpoint from here on, as a line."""
    if chapter.state is None:
        return _unclaimed(chapter, prospect)
    if chapter.state != "claimed":
        return "nothing: this is its outcome"
    if chapter.daemon_alive:
        if prospect.fresh:
            return f"{chapter.daemon} pushes it, or tries again, for another {prospect.left}"
        return f"{chapter.daemon} records its outcome"
    if not prospect.claiming:
        return f"{chapter.daemon} is not alive, nor any other daemon: it waits for one to start"
    if prospect.fresh:
        return f"{chapter.daemon} is not alive: another daemon takes it over within {LEASE:g} s"
    return f"{chapter.daemon} is not alive: another daemon records its outcome within {LEASE:g} s"


def _unclaimed(chapter: Chapter, prospect: Prospect) -> str:
    if prospect.why_no_candidate:
        return f"nothing: {prospect.why_no_candidate}"
    if not prospect.enabled:
        return "nothing: webhook.enabled is false"
    if chapter.endpoint_id is None:
        return "nothing: no daemon has this endpoint yet; it is owed what comes once one has"
    if chapter.owed is False:
        return f"nothing: it is older than the endpoint, which is owed rows from {chapter.since:%F %T%z} on"
    if not prospect.claiming:
        waits = f"it stays fresh for another {prospect.left}" if prospect.fresh else "to be recorded as expired"
        return f"no daemon takes rows: it waits for one to start; {waits}"
    if prospect.fresh:
        return f"a daemon takes it as soon as its queue has room: within {_SWEPT:g} s, even if nobody told it"
    if (prospect.age or 0.0) < prospect.data_expiry + LOOK_BACK:
        return f"nobody took it while it was fresh: recorded as expired within {_SWEPT:g} s"
    return "nothing: it is too old, even to be recorded; or its history has been deleted"


async def _load(connection: Connection, source: Source, row_id: int) -> tuple[Any, ...] | None:
    text = sql.SQL(statement("story_row")).format(**source.parts)
    async with bounded(connection, STATEMENT_BOUND):
        cursor = await connection.execute(text, {"id": row_id})
        return await cursor.fetchone()
