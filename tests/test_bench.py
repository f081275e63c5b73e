"""The benchmark: that it measures what it says, and that documents say what it measured."""

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench import load, report
from bench.bed import bed, turn
from bench.engines import NAIVE, PUSHD, Engine
from bench.figures import Figures, Measurement, quantile
from bench.goals import Goal, over_best_queue, ratio
from bench.receiving import receiving
from pushd.demo.postgres import Cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    async with bed([PUSHD, NAIVE]) as cluster:
        yield cluster


def rates(**engines: float) -> Figures:
    return Figures(
        Measurement("stream", name.replace("_", "-"), {"rows_per_s": rate}) for name, rate in engines.items()
    )


@pytest.mark.parametrize("engine", [PUSHD, NAIVE], ids=["pushd", "naive"])
async def test_every_row_of_a_turn_arrives_after_it_was_sent(cluster: Cluster, engine: Engine) -> None:
    """The engine is ready when its turn begins, and rows of earlier turns are gone."""
    for _ in range(2):
        async with turn(cluster, engine) as at:
            sent = await load.at_rate(at.dsn, 100, 0.5)
            arrivals = await at.receiver.until(len(sent), 10)
            assert len(sent) == 50
            assert arrivals.keys() == sent.keys()
            assert all(arrivals[row_id] > began for row_id, began in sent.items())


async def test_cost_is_that_of_the_daemon_and_of_postgresql_with_its_sessions(cluster: Cluster) -> None:
    """2,000 pushes cost both of them something, and no more than the clock and two cores allow."""
    async with turn(cluster, PUSHD) as at:
        before = at.cost()
        await load.at_once(at.dsn, 2000)
        await at.receiver.until(2000, 20)
        spent = at.cost() - before
    assert 0 < spent.daemon <= spent.clock + 0.1
    assert spent.postgres > 0
    assert at.receiver.pid > 0


async def test_writers_flat_out_commit_as_many_rows_as_they_are_told_to(cluster: Cluster) -> None:
    async with turn(cluster, PUSHD) as at:
        commits = await load.flat_out(cluster, at.database, 4, rows=400)
        assert commits > 0
        assert len(await at.receiver.until(400, 20)) == 400


async def test_receiver_takes_down_the_first_arrival_of_each_row() -> None:
    async with receiving() as receiver:
        assert await receiver.count() == 0
        assert await receiver.arrivals() == {}
        began = time.time()
        assert await receiver.until(1, 0.1) == {}
        assert time.time() - began < 5


def test_quantile_is_the_smallest_value_that_the_share_does_not_exceed() -> None:
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(100), 0.99) == 99
    assert quantile([], 0.5) == float("inf")


def test_ratio_is_that_of_the_medians() -> None:
    figures = Figures(
        Measurement("bulk", engine, {"rows_per_s": rate})
        for engine, rate in (("pushd", 9), ("pushd", 30), ("pushd", 10), ("naive", 5))
    )
    assert ratio("bulk", "rows_per_s", "naive")(figures) == 2
    assert ratio("bulk", "unheard-of", "naive")(figures) is None


def test_fastest_queue_is_neither_the_naive_script_nor_ourselves() -> None:
    figures = rates(pushd=300, naive=200, graphile_worker=100, pgqueuer=50)
    assert over_best_queue("stream")(figures) == 3


@pytest.mark.parametrize(
    ("value", "at_most", "met"), [(1.104, True, True), (1.11, True, False), (1.1, False, True), (1.09, False, False)]
)
def test_goal_is_met_as_it_is_shown(value: float, at_most: bool, met: bool) -> None:  # noqa: FBT001 (a table)
    assert Goal("", "", lambda _: value, 1.1, at_most=at_most).met(value) is met


def test_what_misses_its_bound_stands_in_bold() -> None:
    table = report.goals(rates(), report.LANGUAGES[0])
    assert "**" not in table
    slow = Figures(Measurement("idle", "pushd", {"core_percent": share}) for share in [7.0])
    assert "| **7.00** | ≤ 0.3 |" in report.goals(slow, report.LANGUAGES[0])


@pytest.mark.parametrize("words", report.LANGUAGES, ids=lambda words: words.file)
def test_readme_says_what_the_last_run_has_measured(words: report.Words) -> None:
    """`python -m bench.report` writes it."""
    text = (report.ROOT / words.file).read_text("utf-8")
    assert report.with_figures(text, report.read().figures, words) == text
    assert report.goals(report.read().figures, words) in text


def test_page_of_the_benchmarks_says_what_the_last_run_has_measured() -> None:
    assert (report.FOLDER / "README.md").read_text("utf-8") == report.page(report.read())
