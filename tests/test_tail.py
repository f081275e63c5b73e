"""Whatever order ids become visible in, each is looked for until it is seen, and nothing grows without bound."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pushd.tail import REACH, Tail


def look(tail: Tail, visible: set[int], now: float) -> set[int]:
    """As the statement does it: the gaps that are due, and what lies above."""
    found = {id_ for id_ in visible if tail.highest < id_ <= tail.highest + REACH}
    found |= visible & set(tail.gaps_due(now))
    tail.saw(found, now)
    return found


def test_what_is_above_the_highest_is_seen_once() -> None:
    """And what is below was announced before."""
    tail = Tail(10)
    assert look(tail, {9, 10, 11, 12}, 0.0) == {11, 12}
    assert look(tail, {9, 10, 11, 12}, 0.1) == set()


def test_gap_is_found_when_it_is_filled() -> None:
    """Its transaction was open when higher ids were seen already."""
    tail = Tail(0)
    assert look(tail, {1, 5}, 0.0) == {1, 5}
    assert look(tail, {1, 5}, 0.01) == set()
    assert look(tail, {1, 3, 5}, 0.02) == {3}
    assert look(tail, {1, 2, 3, 4, 5}, 0.03) == {2, 4}
    assert not tail.all_gaps()


def test_old_gaps_are_looked_for_less_often_and_then_no_more() -> None:
    """Ids that were rolled back are missing for ever."""
    tail = Tail(0)
    look(tail, {2}, 0.0)
    looks = [now for now in (n * 0.005 for n in range(20_000)) if tail.gaps_due(now)]
    assert sum(now < 1 for now in looks) > 30
    assert all(later - sooner <= 0.51 for sooner, later in pairwise(looks))
    assert len(looks) < 300
    assert looks[-1] <= 60.0
    assert not tail.all_gaps()


def test_id_far_above_leads_nobody_astray() -> None:
    """Set by hand: the sweep finds it, and the sequence goes on where it was."""
    tail = Tail(100)
    assert look(tail, {101, 10**12}, 0.0) == {101}
    assert look(tail, {102, 10**12}, 0.1) == {102}


def test_gaps_are_bounded() -> None:
    """However many ids are burnt."""
    tail = Tail(0)
    for step in range(1, 50):
        look(tail, {step * REACH}, 0.0)
    assert len(tail.all_gaps()) == 20_000


@given(st.permutations(range(1, 40)), st.lists(st.integers(1, 5), min_size=39, max_size=39))
def test_every_id_is_seen_exactly_once_in_whatever_order_they_commit(order: list[int], steps: list[int]) -> None:
    """With looks in between at any moment, within the life of a gap."""
    tail = Tail(0)
    visible: set[int] = set()
    seen: list[int] = []
    now = 0.0
    remaining = list(order)
    for step in steps:
        visible |= set(remaining[:step])
        del remaining[:step]
        now += 0.01
        seen += look(tail, visible, now)
    for _ in range(100):
        now += 0.01
        seen += look(tail, visible, now)
    assert sorted(seen) == list(range(1, 40))
