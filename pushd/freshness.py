"""Is a row still worth pushing? Decided with the time passed in, on the one scale of `Delivery.age`."""

from pushd.event import Delivery


def is_fresh(delivery: Delivery, data_expiry: float, now: float) -> bool:
    """Whether the row may still be pushed at `now`; a row from the future is fresh."""
    return delivery.age(now) < data_expiry


def deadline(delivery: Delivery, data_expiry: float) -> float:
    """The moment at which the row stops being fresh."""
    return delivery.born + data_expiry
