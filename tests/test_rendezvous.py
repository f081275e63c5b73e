"""Everybody comes to the same answer, evenly, and it changes as little as can be."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pushd.rendezvous import preferred

ROW_IDS = st.integers(-(2**63), 2**63 - 1)
MEMBERS = st.sets(st.integers(1, 2**31 - 1), min_size=2, max_size=8)


@given(ROW_IDS, MEMBERS)
def test_all_answer_the_same(row_id: int, members: set[int]) -> None:
    """In whatever order they know each other; and it is one of them."""
    assert preferred(row_id, sorted(members)) == preferred(row_id, sorted(members, reverse=True))
    assert preferred(row_id, members) in members


@given(ROW_IDS, MEMBERS)
def test_only_the_rows_of_one_that_leaves_move(row_id: int, members: set[int]) -> None:
    """The others keep theirs."""
    owner = preferred(row_id, members)
    for gone in members - {owner}:
        assert preferred(row_id, members - {gone}) == owner


def test_shares_are_even() -> None:
    """Within five per cent for three members and consecutive ids."""
    shares = Counter(preferred(row_id, (1, 2, 3)) for row_id in range(30_000))
    assert all(abs(count - 10_000) < 500 for count in shares.values())


def test_answer_is_the_same_in_every_process_and_version() -> None:
    """Daemons of different builds must agree: the function is part of the contract."""
    assert [preferred(row_id, (1, 2, 3)) for row_id in range(-2, 8)] == [3, 1, 1, 1, 1, 2, 2, 1, 1, 2]
