"""Is it moving? Judged from facts, with the time passed in: no I/O, no clock.

Health is progress, not pings. A loop moves when it got something done, or
found out that there was nothing to do; each has a bound on every wait, so one
that neither moves nor fails hangs, and only that is cured by a restart. What
stops pushing without hanging, such as a database that is away, makes the
daemon unready, in words, for as long as it lasts.

Not a reason to be unready, but a warning: an endpoint that takes nothing, since
it hurts only itself; and a trigger that does not ring, since rows are found by
sweeping within half a second, and no other daemon would do better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pushd.facts import Facts, Lane, Phase

_HUNG_PUSHER = 10.0  # seconds beyond the endpoint's timeout
_UNCALLED = 10.0  # seconds that a job may lie there while a pusher has nothing to do
_FAILURES = 3  # attempts in a row, before it is worth a word


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: a word for machines, a line for people."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether rows are being pushed as they come; `reasons` why not, `warnings` what is wrong besides."""

    reasons: Sequence[Finding]
    warnings: Sequence[Finding]

    @property
    def ready(self) -> bool:
        return not self.reasons


def moves(facts: Facts, now: float) -> list[Finding]:
    """What hangs, and would not if the daemon were started again; empty while all moves or has nothing to do."""
    if facts.phase is not Phase.RUNNING:
        return []
    waits = not facts.calm or not facts.may_claim  # for others, who are judged themselves
    loops = [("listen", facts.listen), ("heartbeat", facts.heartbeat)]
    loops += [] if waits else [("claim", facts.claim), ("sweep", facts.sweep)]
    loops += [("settle", facts.settle)] if facts.unsettled else []
    hanging = [
        Finding("hangs", f"the {name} loop hangs: for {loop.silent(now):.0f} s it has neither done anything nor failed")
        for name, loop in loops
        if loop.hangs(now)
    ]
    return hanging + [finding for lane in facts.lanes for finding in _hanging_pushers(lane, facts, now)]


def judge(facts: Facts, now: float) -> Verdict:
    """Whether the daemon is ready at `now`."""
    match facts.phase:
        case Phase.STARTING if facts.start.down:
            return Verdict([Finding("starting", f"waiting for PostgreSQL: {facts.start.error}")], [])
        case Phase.STARTING:
            return Verdict([Finding("starting", "starting: the database is being looked over")], [])
        case Phase.STOPPING:
            return Verdict([Finding("stopping", "stopping: nothing new is claimed")], [])
        case Phase.DISABLED:
            return Verdict([], [Finding("disabled", "webhook.enabled is false: nothing is claimed, nothing is pushed")])
    return Verdict([*_reasons(facts, now), *moves(facts, now)], list(_warnings(facts, now)))


def status(facts: Facts, now: float) -> str:
    """One line on how it goes, for `systemctl status`."""
    verdict = judge(facts, now)
    if facts.phase is not Phase.RUNNING:
        return "; ".join(map(str, [*verdict.reasons, *verdict.warnings]))
    parts = [
        "LISTEN ok" if facts.listening and not facts.listen.stands(now) else "LISTEN down",
        f"{len(facts.lanes)} endpoint{'' if len(facts.lanes) == 1 else 's'}",
        f"backlog {facts.backlog}",
        "nothing pushed yet" if facts.pushed is None else f"last push {span(now - facts.pushed)} ago",
    ]
    if verdict.reasons:
        parts.append(f"NOT READY: {verdict.reasons[0]}")
    elif verdict.warnings:
        parts.append(f"warning: {verdict.warnings[0]}")
    return " · ".join(parts)


def span(seconds: float) -> str:
    """A duration in the largest unit that says enough."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _reasons(facts: Facts, now: float) -> Iterator[Finding]:
    if not facts.lease_holds:
        yield Finding("lease", "the lease has run out: nothing is pushed until PostgreSQL has answered a heartbeat")
    if facts.listen.down and facts.heartbeat.down and facts.claim.down:
        yield Finding(
            "database",
            f"PostgreSQL cannot be reached: {facts.heartbeat.error}; rows in memory are pushed, no others, "
            f"and {facts.unsettled} outcomes wait to be written",
        )
        return
    if facts.rows_fault:
        yield Finding("rows", facts.rows_fault)
    if not facts.listening or facts.listen.stands(now):
        why = facts.listen.why(now) if facts.listen.stands(now) else "not active yet"
        yield Finding("listen", f"LISTEN is down, rows are found by sweeping only: {why}")
    if facts.heartbeat.stands(now):
        yield Finding("heartbeat", f"the ledger cannot be written, no heartbeat: {facts.heartbeat.why(now)}")
    if facts.unsettled and facts.settle.stands(now):
        yield Finding("settle", f"{facts.unsettled} outcomes cannot be written: {facts.settle.why(now)}")
    yield from _idle(facts, now)


def _idle(facts: Facts, now: float) -> Iterator[Finding]:
    """Why no more rows are taken."""
    if not facts.calm:
        yield Finding("outcomes", f"nothing is claimed until more of {facts.unsettled} outcomes are written")
    elif facts.may_claim:
        if facts.claim.stands(now):
            yield Finding("claim", f"no row can be claimed: {facts.claim.why(now)}")
        if facts.sweep.stands(now):
            yield Finding("sweep", f"the table is not swept for missed rows: {facts.sweep.why(now)}")


def _warnings(facts: Facts, now: float) -> Iterator[Finding]:
    if facts.config_fault:
        yield Finding("config", f"the configuration was not reloaded, the old one stays: {facts.config_fault}")
    if facts.trigger_fault:
        yield Finding("trigger", facts.trigger_fault)
    for name, loop in facts.others:
        if loop.down:
            yield Finding("session", f"session {name} is down: {loop.error}")
    for lane in facts.lanes:
        if lane.failures >= _FAILURES and lane.failing_since is not None:
            yield Finding(
                "endpoint",
                f"endpoint {lane.endpoint} has not taken anything for {span(now - lane.failing_since)}, "
                f"{lane.failures} attempts: {lane.error}",
            )
        if lane.behind:
            yield Finding("behind", f"endpoint {lane.endpoint} does not keep up: its queue is full, rows wait outside")


def _hanging_pushers(lane: Lane, facts: Facts, now: float) -> Iterator[Finding]:
    if lane.busy_since is not None and now - lane.busy_since > lane.timeout + _HUNG_PUSHER:
        yield Finding(
            "hangs",
            f"a pusher of {lane.endpoint} hangs: {now - lane.busy_since:.0f} s at one attempt, "
            f"whose timeout is {lane.timeout:g} s",
        )
    idle = lane.busy < lane.pushers and facts.lease_holds
    if idle and lane.uncalled_since is not None and now - lane.uncalled_since > _UNCALLED:
        yield Finding(
            "hangs", f"the pushers of {lane.endpoint} hang: {lane.queued} rows wait, and none of them takes one"
        )
