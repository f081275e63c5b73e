"""What notifications say, and what envelopes hold."""

import orjson
import pytest

from pushd.event import Attempt, Delivery, Row, envelope, row_ids

ROW = Row(123, 1703123400_000_000, None, None, None, "ABC", None, None, None, None)


@pytest.mark.parametrize(
    ("payload", "ids"),
    [
        ("1", {1}),
        ("123,124", {123, 124}),
        ("7,7", {7}),
        ("-5", {-5}),
        ("9223372036854775807,-9223372036854775808", {2**63 - 1, -(2**63)}),
    ],
)
def test_payload_of_ids(payload: str, ids: set[int]) -> None:
    """Every bigint can be named, as often as one likes."""
    assert row_ids(payload) == frozenset(ids)


def test_star_means_many() -> None:
    """Too many to name: the daemon looks for itself."""
    assert row_ids("*") is None


@pytest.mark.parametrize(
    "payload",
    ["", ",", "1,", "x", "1;2", "1 2", "+1", "1.0", "9223372036854775808", "١٢", "**", "1,*", "9" * 7000, "\x00"],
)
def test_foreign_payload_is_refused(payload: str) -> None:
    """Anybody may NOTIFY on our channel; what is not the trigger's own is an error, cut short."""
    with pytest.raises(ValueError, match=r"^not ") as caught:
        row_ids(payload)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("age", "told", "timestamp"),
    [
        (0.0, 0.0, 1703123400),
        (15.5, 15.5, 1703123415),
        (1.23456, 1.235, 1703123401),
        (0.9999, 1.0, 1703123400),
        (-60.0, 0.0, 1703123340),
    ],
)
def test_age_and_time_of_an_envelope(age: float, told: float, timestamp: int) -> None:
    """Three decimals at most; never negative, though the time is the true one."""
    made = orjson.loads(envelope(ROW, age))
    assert made["metadata"]["data_age_seconds"] == told
    assert isinstance(made["metadata"]["data_age_seconds"], float)
    assert made["timestamp"] == timestamp


def test_webhook_id_differs_by_row_time_and_endpoint() -> None:
    """No two deliveries share one."""
    again = Row(123, 1703123400_000_001, None, None, None, "ABC", None, None, None, None)
    ids = {Delivery(row, "x", endpoint, 0.0).webhook_id for row in (ROW, again) for endpoint in (1, 2)}
    assert len(ids) == 4


def test_values_print_themselves() -> None:
    """Logs and failed tests show what something is at a glance."""
    assert str(Delivery(ROW, "a.example/hook", 1, 0.0)) == "row 123 → a.example/hook"
    assert str(Attempt(503, None, 0.1)) == "status 503"
    assert str(Attempt(None, "connect: connection refused", 0.1)) == "connect: connection refused"
    assert ROW.create_time == "2023-12-21T01:50:00Z"
