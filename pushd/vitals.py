"""What the daemon knows of itself, gathered for whoever asks: now, from the very parts that run.

Nothing is remembered here. Which endpoints there are is looked up each time.
"""

import asyncio
from typing import Any

from pushd import facts, health
from pushd.doorbell import State
from pushd.facts import Facts, Loop, Phase
from pushd.parts import Parts
from pushd.postgres import Session
from pushd.stats import EndpointStats, Stats
from pushd.track import Track

_NEVER = Loop()


class Vitals:
    """The statistics, the sessions by their purpose, and the parts from when the database is ready."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.sessions: dict[str, Session] = {}
        self.parts: Parts | None = None
        self.began = facts.NEVER  # when the parts began to run; nothing is held against them before
        self.phase = Phase.STARTING

    def run(self, parts: Parts) -> None:
        """From now on these parts run."""
        self.parts, self.began, self.phase = parts, asyncio.get_running_loop().time(), Phase.RUNNING

    @property
    def tracks(self) -> dict[str, Track]:
        """What is under way, by the endpoint's name."""
        if self.parts is None:
            return {}
        pipeline = self.parts.pipeline
        return {track.endpoint.name: track for track in (*pipeline.leaving, *pipeline.tracks.values())}

    def snapshot(self) -> dict[str, Any]:
        """The statistics: the specification's five figures, then what is under way, then what has been."""
        parts, tracks, stats = self.parts, self.tracks, self.stats
        return {
            **stats.specified(),
            "backlog": sum(track.lane.queued for track in tracks.values()),
            "in_flight": sum(len(track.lane) for track in tracks.values()),
            "unsettled": len(parts.settler) if parts else 0,
            "listening": parts.listener.active.is_set() if parts else False,
            "doorbell": (parts.doorbell.state if parts else State.DEAF).value,
            **stats.totals(),
            **stats.traffic(),
            "endpoints": {
                name: {**of.state(), **(tracks[name].state() if name in tracks else {})}
                for name, of in stats.endpoints.items()
            },
        }

    def facts(self) -> Facts:
        """What there is to judge, now."""
        parts = self.parts
        if parts is None:
            return Facts(self.phase, start=self._loop("start", self._opened("start")), pushed=self.stats.pushed)
        now = asyncio.get_running_loop().time()
        return Facts(
            phase=self.phase,
            listening=parts.listener.active.is_set(),
            listen=self._loop("listen", parts.listener.moved),
            claim=self._loop("claim", parts.claimer.moved),
            sweep=self._loop("sweep", parts.sweeper.moved, parts.sweeper.due),
            heartbeat=self._loop("heartbeat", parts.heartbeat.moved),
            settle=self._loop("settle", parts.settler.moved, parts.settler.oldest),
            others=[(name, self._loop(name, self._opened(name))) for name in ("bell", "keep")],
            lease_holds=parts.lease.holds(now),
            may_claim=parts.lease.may_claim(now),
            calm=parts.settler.calm.is_set(),
            unsettled=len(parts.settler),
            trigger_fault=parts.housekeeper.trigger_fault,
            rows_fault=parts.housekeeper.rows_fault,
            config_fault=self.stats.config_fault,
            lanes=[_lane(track, self.stats.endpoints[name], now) for name, track in self.tracks.items()],
            pushed=self.stats.pushed,
        )

    def verdict(self) -> health.Verdict:
        """Whether we are ready, now."""
        return health.judge(self.facts(), asyncio.get_running_loop().time())

    def hanging(self) -> list[health.Finding]:
        """What only a restart would cure, now."""
        return health.moves(self.facts(), asyncio.get_running_loop().time())

    def status(self) -> str:
        """One line on how it goes, now."""
        return health.status(self.facts(), asyncio.get_running_loop().time())

    def _loop(self, name: str, moved: float, due: float | None = None) -> Loop:
        session = self.sessions.get(name)
        if session is None:
            return _NEVER
        return Loop(max(moved, self.began), session.failed, session.error, facts.NEVER if due is None else due)

    def _opened(self, name: str) -> float:
        session = self.sessions.get(name)
        return session.opened if session else facts.NEVER


def _lane(track: Track, of: EndpointStats, now: float) -> facts.Lane:
    lane = track.lane
    return facts.Lane(
        endpoint=track.endpoint.name,
        timeout=track.endpoint.timeout,
        pushers=track.endpoint.concurrent_pushers,
        busy=lane.busy,
        busy_since=lane.busy_since,
        uncalled_since=lane.uncalled_since(now),
        queued=lane.queued,
        behind=lane.behind,
        failures=of.failures,
        failing_since=of.failing_since,
        error=of.last_error,
    )
