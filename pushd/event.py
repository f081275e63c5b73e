"""What flows through pushd: a row, its deliveries, their attempts and outcomes.

A NOTIFY names rows; a claim loads them and makes a delivery of each for every
endpoint; each delivery is attempted until it has an outcome.

All of it is made anew for each of thousands of rows a second: hence named
tuples, which take a third of the time that frozen dataclasses take.
"""

import enum
import re
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

MICROSECONDS = 1_000_000
MANY = "*"

Key = tuple[int, int, int]  # of the ledger: row_time in microseconds, row_id, endpoint_id

_IDS = re.compile(r"-?\d{1,19}(,-?\d{1,19})*", re.ASCII)
_BIGINT = range(-(2**63), 2**63)


class Row(NamedTuple):
    """One row of the source table as loaded; `time_us` is its create_time in microseconds since the epoch."""

    id: int
    time_us: int
    source_ip: str | None
    msg_id: str | None
    group_id: str | None
    wallet_code: str
    serial_no: str | None
    wx_id: str | None
    wx_nick_name: str | None
    pic_url: str | None

    def __str__(self) -> str:
        return f"row {self.id}"

    @property
    def create_time(self) -> str:
        """The time as log lines write it: UTC, whole seconds."""
        return datetime.fromtimestamp(self.time_us // MICROSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Delivery(NamedTuple):
    """One row for one endpoint, claimed.

    `born` is the moment on this process's monotonic clock at which the row had
    age zero by the database's clock: age now is the monotonic now less `born`.
    """

    row: Row
    endpoint: str
    endpoint_id: int
    born: float

    def __str__(self) -> str:
        return f"{self.row} → {self.endpoint}"

    @property
    def key(self) -> Key:
        """The primary key in the ledger."""
        return self.row.time_us, self.row.id, self.endpoint_id

    @property
    def webhook_id(self) -> str:
        """The same on every attempt and in every process, and no other delivery has it."""
        return f"{self.row.id}-{self.row.time_us}-{self.endpoint_id}"

    def age(self, now: float) -> float:
        """Seconds since the row was created; negative for a row from the future."""
        return now - self.born


class Attempt(NamedTuple):
    """What one POST came to: an HTTP status, or else the error that stood in its way.

    `seconds` is its duration; `retry_after` what the receiver asked for, in seconds.
    """

    status: int | None
    error: str | None
    seconds: float
    retry_after: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        return self.error or f"status {self.status}"


class Outcome(enum.IntEnum):
    """How a delivery ended; the numbers are those of pushd.delivery.state."""

    DELIVERED = 1
    FAILED = 2
    EXPIRED = 3
    FILTERED = 4

    def __str__(self) -> str:
        return self.name.lower()


class Settlement(NamedTuple):
    """A delivery with its outcome since `at`, on the monotonic clock; `last` is the last attempt, if there was one."""

    delivery: Delivery
    outcome: Outcome
    attempts: int
    last: Attempt | None = None
    at: float = 0.0


def row_ids(payload: str) -> frozenset[int] | None:
    """Read a notification: the ids it names, or None for "many, look for yourself"; ValueError for anything else."""
    if payload == MANY:
        return None
    # It is anybody's text: whoever may connect to the database may notify.
    if not _IDS.fullmatch(payload):
        raise ValueError(f"not a list of row ids: {payload[:100]!r}")
    ids = frozenset(map(int, payload.split(",")))
    if any(id_ not in _BIGINT for id_ in ids):
        raise ValueError(f"not all of these fit a bigint: {payload[:100]!r}")
    return ids


def envelope(row: Row, age: float) -> bytes:
    """Make the JSON body of a row that is `age` seconds old; keys, order and types are the specification's."""
    data: dict[str, str | int | None] = {
        "id": row.id,
        "source_ip": row.source_ip,
        "msg_id": row.msg_id,
        "group_id": row.group_id,
        "wallet_code": row.wallet_code,
        "serial_no": row.serial_no,
        "wx_id": row.wx_id,
        "wx_nick_name": row.wx_nick_name,
    }
    if row.pic_url:
        data["pic_url"] = row.pic_url
    data["create_time"] = row.time_us // MICROSECONDS
    return orjson.dumps(
        {
            "event_type": "ocr_wallet_data",
            "timestamp": time_at(row, age),
            "version": "1.0",
            "source": "ocr_wallet_service",
            "data": data,
            "metadata": {"data_age_seconds": round(max(age, 0.0), 3), "push_source": "wx-msg-chat"},
        }
    )


def time_at(row: Row, age: float) -> int:
    """Epoch seconds by the database's clock when the row is `age` seconds old; the clock of this host may be wrong."""
    return int(row.time_us / MICROSECONDS + age)
