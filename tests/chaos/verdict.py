"""What came of every committed row: the one check that all faults end with. Pure: no I/O, no clock."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

LATE_BOUND = 2.0  # seconds between the daemon's look at a row's age and the receiver's clock; two busy cores
_SHOWN = 5  # examples of a problem, at the most

_TERMS = ("delivered", "failed", "expired", "filtered", "released")


@dataclass(frozen=True, slots=True)
class Row:
    """A committed row: its create_time, and when its writer saw the commit return, if he did (epoch seconds)."""

    id: int
    created: float
    committed: float | None = None

    @property
    def visible(self) -> float:
        return self.created if self.committed is None else self.committed


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery in the ledger; `state` is a word of pushd.history."""

    row_id: int
    endpoint: str
    state: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that a receiver answered with 2xx."""

    row_id: int
    endpoint: str
    webhook_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Window:
    """The at-least-once window of one fault: POST answered, outcome not yet (durably) in the ledger.

    An arrival in it may be repeated, if its row was there before `committed_before`.
    """

    begin: float
    end: float
    why: str
    committed_before: float = float("inf")

    def explains(self, row: Row, first: Accepted, repeat: Accepted) -> bool:
        return (
            first.webhook_id == repeat.webhook_id
            and self.begin <= first.at <= self.end
            and self.begin <= repeat.at
            and row.created <= self.committed_before
        )


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An accepted arrival beyond the first; `why` is None when no fault explains it."""

    row_id: int
    endpoint: str
    first: float
    repeat: float
    same_webhook_id: bool
    why: str | None

    def __str__(self) -> str:
        name = "same webhook-id" if self.same_webhook_id else "ANOTHER webhook-id"
        return f"row {self.row_id} → {self.endpoint} at {self.first:.3f} and {self.repeat:.3f}, {name}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known when the dust has settled; times are epoch seconds of one clock."""

    rows: Sequence[Row]
    endpoints: Sequence[str]
    ledger: Sequence[Entry]
    accepted: Sequence[Accepted]
    windows: Sequence[Window] = ()
    faults: Sequence[tuple[float, float]] = ()  # begin and end of each blow
    stats: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of each daemon that is alive, by name
    data_expiry: float = 300.0
    remarks: Sequence[str] = ()  # what the scenario itself found wrong


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row × endpoint is delivered when a receiver accepted it, recorded otherwise when the ledger says how it ended.

    `recovery` is, over all rows that arrived after a blow, the longest time from the commit or the end of the last
    blow before the arrival, whichever is later, to the first arrival: how long after it was over it could be felt.
    """

    rows: int
    deliveries: int
    delivered: int
    otherwise: int
    lost: Sequence[tuple[int, str, str]]  # row, endpoint, what the ledger says
    duplicates: Sequence[Duplicate]
    recovery: float
    problems: Sequence[str]

    @property
    def good(self) -> bool:
        return not self.problems


def judge(evidence: Evidence, *, may_end_otherwise: bool = False) -> Verdict:
    """Weigh the evidence; rows that are recorded as not delivered are a problem unless the fault allows for them."""
    arrivals = _arrivals(evidence.accepted)
    states = {(entry.row_id, entry.endpoint): entry.state for entry in evidence.ledger}
    owed = [(row.id, endpoint) for row in evidence.rows for endpoint in evidence.endpoints]
    missing = [key for key in owed if key not in arrivals]
    otherwise = [key for key in missing if states.get(key) in {"failed", "expired", "filtered"}]
    recorded = set(otherwise)
    lost = [(*key, states.get(key, "no entry")) for key in missing if key not in recorded]
    duplicates = _duplicates(evidence, arrivals)
    problems = [
        *_listed("lost", [f"row {row} → {endpoint} ({state})" for row, endpoint, state in lost]),
        *_listed("duplicates without an explanation", [str(each) for each in duplicates if each.why is None]),
        *_listed("never settled", [f"row {e.row_id} → {e.endpoint}" for e in evidence.ledger if e.state == "claimed"]),
        *_listed("delivered, but not in the ledger", [f"row {r} → {e}" for r, e in arrivals if (r, e) not in states]),
        *_listed("of rows that were never committed", _invented(evidence)),
        *_listed("pushed when stale", _stale(evidence)),
        *_identity(evidence.stats),
        *evidence.remarks,
    ]
    if otherwise and not may_end_otherwise:
        problems += _listed("not delivered", [f"row {key[0]} → {key[1]} ({states[key]})" for key in otherwise])
    return Verdict(
        rows=len(evidence.rows),
        deliveries=len(owed),
        delivered=len(owed) - len(missing),
        otherwise=len(otherwise),
        lost=lost,
        duplicates=duplicates,
        recovery=_recovery(evidence, arrivals),
        problems=problems,
    )


Arrivals = Mapping[tuple[int, str], Sequence[Accepted]]


def _arrivals(accepted: Iterable[Accepted]) -> Arrivals:
    arrivals: dict[tuple[int, str], list[Accepted]] = defaultdict(list)
    for each in sorted(accepted, key=lambda each: each.at):
        arrivals[each.row_id, each.endpoint].append(each)
    return arrivals


def _duplicates(evidence: Evidence, arrivals: Arrivals) -> list[Duplicate]:
    rows = {row.id: row for row in evidence.rows}
    duplicates = []
    for (row_id, endpoint), each in arrivals.items():
        row = rows.get(row_id, Row(row_id, float("inf")))
        for first, repeat in pairwise(each):
            reasons = (window.why for window in evidence.windows if window.explains(row, first, repeat))
            same = first.webhook_id == repeat.webhook_id
            duplicates.append(Duplicate(row_id, endpoint, first.at, repeat.at, same, next(reasons, None)))
    return duplicates


def _invented(evidence: Evidence) -> list[str]:
    known = {row.id for row in evidence.rows}
    return sorted({f"row {each.row_id}" for each in evidence.accepted if each.row_id not in known})


def _stale(evidence: Evidence) -> list[str]:
    created = {row.id: row.created for row in evidence.rows}
    ages = [(each, each.at - created.get(each.row_id, each.at)) for each in evidence.accepted]
    return [f"row {each.row_id} at {age:.1f} s" for each, age in ages if age > evidence.data_expiry + LATE_BOUND]


def _identity(stats: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Claimed = delivered + failed + expired + filtered + released + in flight, as a whole and for each endpoint."""
    problems = []
    for daemon, whole in stats.items():
        parts = {"all endpoints": (whole, whole["in_flight"])} | {
            name: (of, of.get("queued", 0) + of.get("busy", 0)) for name, of in whole["endpoints"].items()
        }
        for name, (counts, in_flight) in parts.items():
            ended = {term: counts[term] for term in _TERMS}
            if counts["claimed"] != sum(ended.values()) + in_flight:
                told = ", ".join(f"{term} {count}" for term, count in ended.items())
                problems.append(
                    f"identity broken in {daemon}, {name}: claimed {counts['claimed']} ≠ {told}, in flight {in_flight}"
                )
    return problems


def _recovery(evidence: Evidence, arrivals: Arrivals) -> float:
    rows = {row.id: row for row in evidence.rows}
    worst = 0.0
    for (row_id, _), each in arrivals.items():
        ends = [end for _, end in evidence.faults if end <= each[0].at]
        if ends and row_id in rows:
            worst = max(worst, each[0].at - max(rows[row_id].visible, *ends))
    return worst


def _listed(what: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    rest = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return [f"{len(items)} {what}: {'; '.join(items[:_SHOWN])}{rest}"]
