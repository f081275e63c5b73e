"""Fresh or not, with the time passed in."""

import pytest

from pushd.event import Delivery, Row
from pushd.freshness import deadline, is_fresh

DELIVERY = Delivery(Row(1, 0, None, None, None, "A", None, None, None, None), "x", 1, born=100.0)


@pytest.mark.parametrize(
    ("now", "fresh"), [(100.0, True), (399.999, True), (400.0, False), (400.001, False), (50.0, True)]
)
def test_row_is_fresh_until_it_is_as_old_as_data_expiry(now: float, fresh: bool) -> None:  # noqa: FBT001
    """Born at 100, good for 300: not at 400 any more; a row from the future is."""
    assert is_fresh(DELIVERY, 300.0, now) is fresh


def test_deadline_is_the_first_moment_that_is_too_late() -> None:
    """The two functions agree."""
    assert deadline(DELIVERY, 300.0) == 400.0
    assert not is_fresh(DELIVERY, 300.0, deadline(DELIVERY, 300.0))
