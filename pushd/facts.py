"""What the daemon knows of itself at one moment, for `health` to judge; monotonic times."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

NEVER = -math.inf
_SILENT = 10.0  # seconds: each loop asks its session every 5 s, and has its answer, or fails, within 3 s; and some
_HUNG = 90.0  # longer than all bounds from one failure of a session to the next together


class Phase(enum.Enum):
    """Where in its life the daemon is."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DISABLED = "disabled"  # by webhook.enabled


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop with a session: when it last moved, and when and why its session failed; monotonic times.

    `due` is the moment before which there was nothing for it to do.
    """

    moved: float = NEVER
    failed: float = NEVER
    error: str | None = None
    due: float = NEVER

    @property
    def down(self) -> bool:
        """Whether its session has failed since it last moved."""
        return self.failed > self.moved

    def silent(self, now: float) -> float:
        """Seconds that it has not moved though there was something to do."""
        return max(0.0, now - max(self.moved, self.due))

    def stands(self, now: float) -> bool:
        """Whether it does not get on, for whatever reason."""
        return self.down or self.silent(now) > _SILENT

    def hangs(self, now: float) -> bool:
        """Whether it has stopped even to try."""
        return min(self.silent(now), now - self.failed) > _HUNG

    def why(self, now: float) -> str:
        return self.error or "it failed" if self.down else f"no sign of it for {self.silent(now):.0f} s"


@dataclass(frozen=True, slots=True)
class Lane:
    """An endpoint with its pushers; monotonic times, None where there is no such thing."""

    endpoint: str
    timeout: float = 10.0
    pushers: int = 1
    busy: int = 0
    busy_since: float | None = None  # the pusher that has been at one attempt for longest
    uncalled_since: float | None = None  # since when there has been a job to take, and nobody came for it
    queued: int = 0
    behind: bool = False
    failures: int = 0  # attempts that failed since one was accepted
    failing_since: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to judge, at one moment; `oldest` is when the oldest outcome came that is not in the ledger yet."""

    phase: Phase = Phase.RUNNING
    listening: bool = True
    listen: Loop = field(default_factory=Loop)
    claim: Loop = field(default_factory=Loop)
    sweep: Loop = field(default_factory=Loop)
    heartbeat: Loop = field(default_factory=Loop)
    settle: Loop = field(default_factory=Loop)
    start: Loop = field(default_factory=Loop)
    others: Sequence[tuple[str, Loop]] = ()  # sessions that pushing does not depend on
    lease_holds: bool = True
    may_claim: bool = True
    calm: bool = True  # there is room for outcomes, and so claims are made
    unsettled: int = 0
    trigger_fault: str | None = None
    rows_fault: str | None = None  # why no row can be seen: then all looks well, and nothing ever comes
    config_fault: str | None = None  # why the configuration as it is now is not in force
    lanes: Sequence[Lane] = ()
    pushed: float | None = None  # when a row was last taken by a receiver

    @property
    def backlog(self) -> int:
        return sum(lane.queued for lane in self.lanes)
