"""What the page shows, as one JSON object: state in words, endpoints, the last minutes, the last deliveries.

It holds what the rows hold (wallet codes, nicknames), so it is for who may read
the table; nothing of it is markup.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pushd import __version__
from pushd.course import SLOT, Slot
from pushd.doorbell import State
from pushd.event import MICROSECONDS, Outcome
from pushd.health import Finding, judge, moves, status
from pushd.recent import Ended, matching
from pushd.stats import EndpointStats
from pushd.track import Track
from pushd.vitals import Vitals

LONGEST_SEARCH = 200  # characters
_SHOWN = 50  # of the deliveries that failed, and of the others
_FOUND = 200
_FAILING = 3  # attempts in a row


def overview(vitals: Vitals, name: str, search: str = "") -> dict[str, Any]:
    """All of it, now; deliveries are those of a row or a wallet code when there is something to search for."""
    facts, stats, parts = vitals.facts(), vitals.stats, vitals.parts
    now, clock = asyncio.get_running_loop().time(), time.time()
    verdict, tracks = judge(facts, now), vitals.tracks
    most, wanted = (_FOUND, matching(search)) if search.strip() else (_SHOWN, None)

    def latest(*outcomes: Outcome) -> list[dict[str, Any]]:
        return [_delivery(each, clock - now) for each in stats.recent.latest(*outcomes, most=most, wanted=wanted)]

    return {
        "name": name,
        "version": __version__,
        "now": clock,
        "uptime_seconds": clock - stats.started_at,
        "phase": facts.phase.value,
        "ready": verdict.ready,
        "healthy": not moves(facts, now),
        "status": status(facts, now),
        "reasons": _findings(verdict.reasons),
        "warnings": _findings(verdict.warnings),
        "listening": facts.listening and parts is not None,
        "doorbell": (parts.doorbell.state if parts else State.DEAF).name.lower(),
        "figures": {
            **stats.specified(),
            **stats.totals(),
            "backlog": facts.backlog,
            "in_flight": sum(len(track.lane) for track in tracks.values()),
            "unsettled": facts.unsettled,
            "last_push_seconds": None if stats.pushed is None else now - stats.pushed,
        },
        "slot_seconds": SLOT,
        "endpoints": [_endpoint(each, of, tracks.get(each), now) for each, of in stats.endpoints.items()],
        "search": search,
        "undelivered": latest(Outcome.FAILED, Outcome.EXPIRED, Outcome.FILTERED),
        "delivered": latest(Outcome.DELIVERED),
    }


def condition(of: EndpointStats, track: Track | None) -> str:
    """How an endpoint is, in one word."""
    if track is None:
        return "unused"  # not connected yet, or taken out of the configuration
    if of.failures >= _FAILING:
        return "failing"
    if track.lane.behind:
        return "behind"
    return "well" if any(of.results.values()) else "idle"


def _endpoint(name: str, of: EndpointStats, track: Track | None, now: float) -> dict[str, Any]:
    return {
        "name": name,
        "condition": condition(of, track),
        **of.state(),
        "failures": of.failures,
        "failing_seconds": None if of.failing_since is None else now - of.failing_since,
        "queued": track.lane.queued if track else 0,
        "retries": track.lane.retries if track else 0,
        "busy": track.lane.busy if track else 0,
        "pushers": track.endpoint.concurrent_pushers if track else 0,
        "course": _course(of.course.slots(now)),
    }


def _course(slots: Sequence[Slot]) -> dict[str, list[Any]]:
    return {
        "delivered": [slot.delivered for slot in slots],
        "failed": [slot.failed for slot in slots],
        "refused": [slot.refused for slot in slots],
        "mean_ms": [_milliseconds(slot.mean) for slot in slots],
        "worst_ms": [_milliseconds(slot.worst) for slot in slots],
    }


def _delivery(ended: Ended, epoch: float) -> dict[str, Any]:
    """One delivery; `epoch` is what the monotonic clock lacks to seconds since the epoch."""
    return {
        "at": epoch + ended.at,
        "row_id": str(ended.row_id),  # JavaScript's numbers do not hold every bigint
        "create_time": ended.time_us / MICROSECONDS,
        "wallet_code": ended.wallet_code,
        "nick_name": ended.nick_name,
        "endpoint": ended.endpoint,
        "outcome": str(ended.outcome),
        "attempts": ended.attempts,
        "status": ended.status,
        "ms": _milliseconds(ended.seconds),
        "error": ended.error,
        "age_seconds": round(ended.age, 3),
    }


def _findings(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [{"code": finding.code, "text": finding.text} for finding in findings]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 1)
