"""Counters, and what they are made of: histograms, results in a word, recent deliveries, the last minutes."""

import pytest

from pushd.course import SLOT, Course, Slot
from pushd.event import Attempt, Delivery, Outcome, Row, Settlement
from pushd.histogram import Histogram
from pushd.recent import Recent, matching
from pushd.results import RESULTS, result
from pushd.stats import EndpointStats, Stats


def delivery(number: int, *, code: str = "ABC123", nick: str | None = None) -> Delivery:
    return Delivery(Row(number, 0, None, None, None, code, None, None, nick, None), "one", 1, born=0.0)


def ended(number: int, outcome: Outcome = Outcome.DELIVERED, *, at: float = 0.0, code: str = "ABC123") -> Settlement:
    return Settlement(delivery(number, code=code), outcome, 1, Attempt(200, None, 0.01), at)


def test_histogram_counts_what_does_not_exceed_a_bound() -> None:
    """Cumulatively, as Prometheus has it, with everything in the last."""
    histogram = Histogram([0.1, 1.0])
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("0.1", 2), ("1.0", 3), ("+Inf", 4)]
    assert histogram.total == pytest.approx(7.65)
    assert repr(histogram) == "<Histogram 4 observed, 7.65 in total>"


@pytest.mark.parametrize(
    ("attempt", "word"),
    [
        (Attempt(204, None, 0), "2xx"),
        (Attempt(301, "status 301", 0), "3xx"),
        (Attempt(429, "status 429", 0), "4xx"),
        (Attempt(503, "status 503", 0), "5xx"),
        (Attempt(600, "status 600", 0), "other"),
        (Attempt(None, "no whole answer within 10 s", 0), "timeout"),
        (Attempt(None, "dns: a.example cannot be resolved", 0), "dns"),
        (Attempt(None, "connect: connection refused", 0), "connect"),
        (Attempt(None, "tls: certificate has expired", 0), "tls"),
        (Attempt(None, "network: connection reset by peer", 0), "network"),
        (Attempt(None, "http: the answer broke off", 0), "http"),
        (Attempt(None, "dns", 0), "other"),
        (Attempt(None, None, 0), "other"),
    ],
)
def test_attempt_comes_to_one_word(attempt: Attempt, word: str) -> None:
    """Of a bounded set, whatever a receiver says."""
    assert result(attempt) == word
    assert word in RESULTS


def test_failures_are_not_washed_away_by_successes() -> None:
    """Each outcome has a ring of its own; the latest come first, also across outcomes."""
    recent = Recent()
    recent.add(ended(1, Outcome.FAILED, at=1.0))
    for number in range(2, 2000):
        recent.add(ended(number, at=float(number)))
    recent.add(ended(3000, Outcome.EXPIRED, at=3000.0))
    assert [each.row_id for each in recent.latest(Outcome.FAILED, Outcome.EXPIRED, most=9)] == [3000, 1]
    assert [each.row_id for each in recent.latest(Outcome.DELIVERED, most=2)] == [1999, 1998]
    assert len(recent.latest(*Outcome, most=10_000)) == 502


def test_recent_deliveries_are_found_by_row_and_by_wallet_code() -> None:
    """The id as a whole, the code in part, whatever its case."""
    recent = Recent()
    for number, code in ((7, "A12"), (12, "ABC"), (123, "xbcd")):
        recent.add(ended(number, code=code, at=float(number)))

    def found(text: str) -> list[int]:
        return [each.row_id for each in recent.latest(Outcome.DELIVERED, most=9, wanted=matching(text))]

    assert found("12") == [12, 7]
    assert found(" bC ") == [123, 12]
    assert found("none") == []


def test_recent_deliveries_are_shortened() -> None:
    """A megabyte of nickname does not stay in memory."""
    recent = Recent()
    recent.add(ended(1)._replace(delivery=delivery(1, code="x" * 10**6, nick="汉" * 10**6)))
    (kept,) = recent.latest(Outcome.DELIVERED, most=1)
    assert (len(kept.wallet_code), len(kept.nick_name or "")) == (80, 80)


def test_course_has_a_slot_for_every_few_seconds() -> None:
    """Also for those in which nothing happened; the one that is under way is the last."""
    course = Course()
    course.attempted(100.0, 0.25, accepted=True)
    course.attempted(101.0, 0.5, accepted=False)
    course.ended(101.0, delivered=True)
    course.ended(101.0, delivered=False)
    slots = course.slots(100.0 + 2 * SLOT)
    assert len(slots) == 120
    assert slots[-3] == Slot(1, 1, 2, 1, 0.375, 0.5)
    assert slots[-1] == Slot()
    assert all(slot.attempts == 0 for slot in course.slots(100.0 + 121 * SLOT))


def test_course_stays_small() -> None:
    """However long it runs."""
    course = Course()
    for number in range(1000):
        course.ended(number * SLOT, delivered=True)
    assert sum(slot.delivered for slot in course.slots(999 * SLOT)) == 120


def test_endpoint_fails_until_it_accepts_again() -> None:
    """Since when, and how often, for whoever asks why."""
    stats = Stats({"one": EndpointStats()})
    of = stats.endpoints["one"]
    refused = Attempt(500, "status 500", 0.1)
    for now in (5.0, 6.0, 7.0):
        stats.attempted(delivery(1), refused, now)
    assert (of.failures, of.failing_since, of.last_error) == (3, 5.0, "status 500")
    stats.attempted(delivery(1), Attempt(200, None, 0.1), 8.0)
    assert (of.failures, of.failing_since) == (0, None)
    assert (of.results["2xx"], of.results["5xx"], of.state()["failed_attempts"]) == (1, 3, 3)


def test_endpoint_that_is_known_already_keeps_its_counters() -> None:
    """A reload names all endpoints again; those that are gone stay, or sums would not add up."""
    stats = Stats({"one": EndpointStats(claimed=3)})
    stats.know(["one", "two"])
    assert {name: of.claimed for name, of in stats.endpoints.items()} == {"one": 3, "two": 0}


def test_bad_configuration_leaves_the_time_of_the_one_in_use() -> None:
    """Only a good one is in use."""
    stats = Stats({}, config_used_at=1.0)
    stats.config_read("config.toml:3: no")
    assert (stats.config_fault is None, stats.config_used_at) == (False, 1.0)
    stats.config_read(None)
    assert stats.config_fault is None
    assert stats.config_used_at > 1.0
