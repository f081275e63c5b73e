"""The metrics, in Prometheus's text format: read from the very counters of the statistics when somebody asks.

Nothing of the client library is on a delivery's way; it only writes down what
there is. Endpoints are labelled with their names, never with their URLs, and
each has all of its series from the start.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pushd import __version__
from pushd.doorbell import State
from pushd.event import Outcome
from pushd.histogram import Histogram
from pushd.stats import EndpointStats
from pushd.track import Track
from pushd.vitals import Vitals

CONTENT_TYPE = CONTENT_TYPE_LATEST

_Samples = Iterable[tuple[Sequence[str], float]]  # the values of the labels, and the sample

_COUNTERS: Sequence[tuple[str, str, str]] = (  # of the whole process, with the attribute of Stats
    ("notifications", "Notifications heard.", "notifications"),
    ("bad_notifications", "Notifications that could not be understood.", "bad_notifications"),
    ("reconnects", "Sessions with PostgreSQL that had to be opened anew.", "reconnects"),
    ("sweeps", "Sweeps of the table for rows that were missed.", "sweeps"),
    ("found_by_sweep", "Rows that a sweep found.", "found_by_sweep"),
    ("pruned", "Old deliveries deleted from the ledger.", "pruned"),
)

_OF_ENDPOINTS: Sequence[tuple[str, str, str | None, Callable[[EndpointStats], Iterable[tuple[str, int]]]]] = (
    ("claims", "Deliveries claimed; each ends in one outcome.", None, lambda of: [("", of.claimed)]),
    (
        "deliveries",
        "Deliveries that ended, by outcome.",
        "outcome",
        lambda of: [(str(each), of.outcomes[each]) for each in Outcome],
    ),
    ("released", "Claims given up without an outcome, for whoever comes next.", None, lambda of: [("", of.released)]),
    (
        "attempts",
        "Requests made, by what came of them: the class of the status, or what stood in the way.",
        "result",
        lambda of: of.results.items(),
    ),
)

_OF_LANES: Sequence[tuple[str, str, Callable[[Track, float], float]]] = (
    ("in_flight", "Deliveries claimed that have no outcome yet.", lambda track, _: len(track.lane)),
    ("queue_depth", "Deliveries in memory that wait for a pusher or a retry.", lambda track, _: track.lane.queued),
    ("queue_size", "How many deliveries may be in memory.", lambda track, _: track.lane.size),
    ("retries_waiting", "Deliveries that wait to be tried again.", lambda track, _: track.lane.retries),
    (
        "queue_oldest_age_seconds",
        "How old the oldest row is that waits in memory, 0 when none does.",
        lambda track, now: 0.0 if (born := track.lane.oldest()) is None else now - born,
    ),
    ("behind", "Whether rows had to be left in the table for want of room.", lambda track, _: track.lane.behind),
    ("pushers", "Requests that may be under way at the same time.", lambda track, _: track.endpoint.concurrent_pushers),
    ("pushers_busy", "Requests under way.", lambda track, _: track.lane.busy),
)


class Metrics(Collector):
    """Everything that the daemon knows of itself in numbers."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def __bytes__(self) -> bytes:
        """What a scrape gets; must be asked on the event loop."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: without this the registry would collect at once, where no event loop may run yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        yield from self._life()
        yield from self._finding()
        yield from self._endpoints()
        yield from self._lanes()
        yield from self._ledger()

    def _life(self) -> Iterator[Metric]:
        stats, verdict = self._vitals.stats, self._vitals.verdict()
        which = {"version": __version__, "python": platform.python_version()}
        yield _gauges("build_info", "Always 1: which pushd this is.", list(which), [(list(which.values()), 1)])
        yield _gauge("start_time_seconds", "When the daemon was started, since the epoch.", stats.started_at)
        yield _gauge("healthy", "Whether all loops move or have nothing to do.", not self._vitals.hanging())
        yield _gauge("ready", "Whether rows are pushed as they come.", verdict.ready)
        yield _gauge("warnings", "How many things besides are not as they should be.", len(verdict.warnings))
        yield _gauge(
            "config_last_reload_successful",
            "Whether the configuration could be used when it was last read.",
            stats.config_fault is None,
        )
        yield _gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration that is in use was read, since the epoch.",
            stats.config_used_at,
        )

    def _finding(self) -> Iterator[Metric]:
        stats, parts, now = self._vitals.stats, self._vitals.parts, _now()
        for name, text, attribute in _COUNTERS:
            yield _counters(name, text, (), [((), getattr(stats, attribute))])
        listening = parts is not None and parts.listener.active.is_set()
        yield _gauge("listen_up", "Whether LISTEN is active on a session that answers.", listening)
        rings = parts is not None and not parts.housekeeper.trigger_fault
        yield _gauge("trigger_up", "Whether the trigger is on the table as it should be.", rings)
        state = parts.doorbell.state if parts else State.DEAF
        yield _gauges(
            "doorbell_state",
            "1 for the way in which new rows are found now, 0 for the others.",
            ["state"],
            (([each.name.lower()], each is state) for each in State),
        )
        kept = parts is not None and parts.lease.kept(now)
        yield _gauge("lease_held", "Whether PostgreSQL knows us to be alive, and our claims are ours.", kept)

    def _endpoints(self) -> Iterator[Metric]:
        endpoints = self._vitals.stats.endpoints.items()
        for name, text, label, read in _OF_ENDPOINTS:
            labels = ["endpoint", label] if label else ["endpoint"]
            yield _counters(
                name,
                text,
                labels,
                (([endpoint, value][: len(labels)], count) for endpoint, of in endpoints for value, count in read(of)),
            )
        yield _histograms(
            "attempt_duration_seconds",
            "How long requests took, up to the end of the answer.",
            ((endpoint, of.responses) for endpoint, of in endpoints),
        )
        yield _histograms(
            "delivery_age_seconds",
            "How old rows were when they had been delivered, by the clock of the database.",
            ((endpoint, of.ages) for endpoint, of in endpoints),
        )

    def _lanes(self) -> Iterator[Metric]:
        tracks, now = self._vitals.tracks, _now()
        for name, text, read in _OF_LANES:
            yield _gauges(
                name,
                text,
                ["endpoint"],
                (
                    ([endpoint], read(tracks[endpoint], now) if endpoint in tracks else 0.0)
                    for endpoint in self._vitals.stats.endpoints
                ),
            )

    def _ledger(self) -> Iterator[Metric]:
        settler = self._vitals.parts.settler if self._vitals.parts else None
        oldest = settler.oldest if settler else None
        yield _gauge("outcomes_unwritten", "Outcomes that are not in the ledger yet.", len(settler) if settler else 0)
        lag = 0.0 if oldest is None else _now() - oldest
        yield _gauge("ledger_lag_seconds", "How long the oldest of them has waited, 0 when none does.", lag)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _gauge(name: str, text: str, value: float) -> Metric:
    return _gauges(name, text, (), [((), value)])


def _gauges(name: str, text: str, labels: Sequence[str], samples: _Samples) -> Metric:
    family = GaugeMetricFamily(f"pushd_{name}", text, labels=labels)
    for values, sample in samples:
        family.add_metric(values, float(sample))
    return family


def _counters(name: str, text: str, labels: Sequence[str], samples: _Samples) -> Metric:
    family = CounterMetricFamily(f"pushd_{name}", text, labels=labels)
    for values, sample in samples:
        family.add_metric(values, float(sample))
    return family


def _histograms(name: str, text: str, of: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"pushd_{name}", text, labels=["endpoint"])
    for endpoint, histogram in of:
        family.add_metric([endpoint], histogram.cumulative(), histogram.total)
    return family
