"""The verdict is hard to please: what it must not overlook."""

from dataclasses import replace
from typing import Any

import pytest
from verdict import Accepted, Entry, Evidence, Row, Window, judge


def stats(**changes: int) -> dict[str, Any]:
    counts = {"claimed": 2, "delivered": 2, "failed": 0, "expired": 0, "filtered": 0, "released": 0} | changes
    return {**counts, "in_flight": 0, "endpoints": {"a": {**counts, "queued": 0, "busy": 0}}}


GOOD = Evidence(
    rows=[Row(1, 100.0, 100.1), Row(2, 101.0, 101.1)],
    endpoints=["a"],
    ledger=[Entry(1, "a", "delivered"), Entry(2, "a", "delivered")],
    accepted=[Accepted(1, "a", "1-a", 100.2), Accepted(2, "a", "2-a", 103.0)],
    faults=[(100.5, 102.0)],
    stats={"one": stats()},
)
REPEAT = Accepted(1, "a", "1-a", 105.0)
KILL = Window(100.0, 100.3, "killed at 100.3", committed_before=100.5)


def test_all_well() -> None:
    """Every row arrived once: nothing to say, and the time from the fault's end to the last arrival."""
    verdict = judge(GOOD)
    assert verdict.good, verdict.problems
    assert (verdict.rows, verdict.delivered, verdict.otherwise, verdict.lost) == (2, 2, 0, [])
    assert verdict.recovery == pytest.approx(1.0)


@pytest.mark.parametrize("said", ["delivered", "claimed", None])
def test_row_that_did_not_arrive_is_lost_whatever_the_ledger_claims(said: str | None) -> None:
    """No accepted arrival: only failed, expired or filtered would be an outcome."""
    ledger = [GOOD.ledger[0], *([Entry(2, "a", said)] if said else [])]
    verdict = judge(replace(GOOD, accepted=GOOD.accepted[:1], ledger=ledger), may_end_otherwise=True)
    assert verdict.lost == [(2, "a", said or "no entry")]
    assert not verdict.good


def test_row_is_owed_to_each_endpoint() -> None:
    """One that only one of two endpoints got is lost for the other."""
    verdict = judge(replace(GOOD, endpoints=["a", "b"]))
    assert [(row, endpoint) for row, endpoint, _ in verdict.lost] == [(1, "b"), (2, "b")]
    assert not verdict.good


def test_recorded_outcome_is_good_only_where_the_fault_allows_it() -> None:
    """A row that expired without need is as bad as a lost one."""
    evidence = replace(GOOD, accepted=GOOD.accepted[:1], ledger=[GOOD.ledger[0], Entry(2, "a", "expired")])
    assert judge(evidence, may_end_otherwise=True).good
    assert judge(evidence, may_end_otherwise=True).otherwise == 1
    assert not judge(evidence).good


def test_duplicate_in_a_window_is_explained() -> None:
    """It is counted all the same."""
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, REPEAT], windows=[KILL]))
    assert verdict.good, verdict.problems
    assert [each.why for each in verdict.duplicates] == ["killed at 100.3"]


@pytest.mark.parametrize(
    ("windows", "repeat"),
    [
        ([], REPEAT),
        ([KILL], replace(REPEAT, webhook_id="another")),
        ([replace(KILL, begin=100.25, end=100.4)], REPEAT),  # it had arrived well before
        ([replace(KILL, end=100.15)], REPEAT),  # it arrived only afterwards
        ([replace(KILL, committed_before=99.0)], REPEAT),  # it was not there yet
    ],
    ids=["no fault", "another webhook-id", "before the window", "after the window", "later row"],
)
def test_duplicate_without_an_explanation_fails(windows: list[Window], repeat: Accepted) -> None:
    """Each condition of an explanation is one that fails by itself."""
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, repeat], windows=windows))
    assert len(verdict.duplicates) == 1
    assert "without an explanation" in "".join(verdict.problems)


def test_each_repeat_needs_its_own_explanation() -> None:
    """A third arrival is explained by where the second was, not by the first."""
    third = replace(REPEAT, at=110.0)
    verdict = judge(replace(GOOD, accepted=[*GOOD.accepted, REPEAT, third], windows=[KILL]))
    assert [each.why for each in verdict.duplicates] == ["killed at 100.3", None]
    assert not verdict.good


@pytest.mark.parametrize("term", ["claimed", "delivered", "released"])
def test_broken_identity_fails(term: str) -> None:
    """As a whole, and for an endpoint alone."""
    assert "identity broken" in judge(replace(GOOD, stats={"one": stats(**{term: 7})})).problems[0]
    alone = stats()
    alone["endpoints"]["a"][term] = 7
    assert "one, a:" in judge(replace(GOOD, stats={"one": alone})).problems[0]


def test_in_flight_counts_in_the_identity() -> None:
    """Overall as told, per endpoint as queued and busy."""
    under_way = stats(claimed=4)
    under_way["in_flight"] = 2
    under_way["endpoints"]["a"] |= {"queued": 1, "busy": 1}
    assert judge(replace(GOOD, stats={"one": under_way})).good


def test_unsettled_claim_fails() -> None:
    """At the end the ledger must say how each delivery ended, even one that arrived."""
    assert "never settled" in judge(replace(GOOD, ledger=[GOOD.ledger[0], Entry(2, "a", "claimed")])).problems[0]


def test_arrival_without_an_entry_fails() -> None:
    """Nothing vanishes silently."""
    assert not judge(replace(GOOD, ledger=GOOD.ledger[:1])).good


def test_row_that_was_rolled_back_must_not_arrive() -> None:
    """Only what is committed may be pushed."""
    assert "never committed" in "".join(
        judge(replace(GOOD, accepted=[*GOOD.accepted, replace(REPEAT, row_id=9)])).problems
    )


def test_stale_row_must_not_arrive() -> None:
    """By the create_time of the row, with a little patience for two clocks' readings."""
    assert judge(replace(GOOD, data_expiry=1.0)).good
    assert "stale" in judge(replace(GOOD, data_expiry=-1.0)).problems[0]


def test_remarks_of_the_scenario_count() -> None:
    """What it saw itself, such as memory that grows."""
    assert judge(replace(GOOD, remarks=["grew"])).problems == ["grew"]
