"""What an attempt came to, in one word of a set that is bounded: fit for a metric's label."""

from pushd.event import Attempt

_BY_HUNDRED = {2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
_KINDS = ("dns", "connect", "tls", "network", "http")  # an error begins with its kind
_OTHER = "other"

RESULTS = (*_BY_HUNDRED.values(), "timeout", *_KINDS, _OTHER)
ACCEPTED = "2xx"


def result(attempt: Attempt) -> str:
    """One of RESULTS."""
    if attempt.status is not None:
        return _BY_HUNDRED.get(attempt.status // 100, _OTHER)
    error = attempt.error or ""
    kind, colon, _ = error.partition(":")
    if colon and kind in _KINDS:
        return kind
    return "timeout" if error.startswith("no whole answer within") else _OTHER
