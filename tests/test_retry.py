"""What follows from an attempt, with time and chance passed in."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from pushd.config import Webhook
from pushd.event import Attempt, Outcome
from pushd.retry import Retry, decide, may_pass, wait

(POLICY,) = Webhook(urls=("http://a.example/",)).endpoints  # three retries, a second, doubling
OK = Attempt(200, None, 0.1)
REFUSED = Attempt(None, "connect: connection refused", 0.1)
BUSY = Attempt(503, "status 503", 0.1)


def after(attempt: Attempt, attempts: int, *, deadline: float = 1000.0, chance: float = 0.5) -> Outcome | Retry:
    return decide(attempt, attempts, POLICY, now=100.0, deadline=deadline, chance=lambda: chance)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_delivered(status: int) -> None:
    """Any 2xx means taken."""
    assert after(Attempt(status, None, 0.1), 1) is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("status", "passes"),
    [
        *((status, True) for status in (None, 408, 425, 429, 500, 502, 503, 504, 599)),
        *((status, False) for status in (101, 300, 301, 302, 304, 307, 400, 401, 403, 404, 410, 413, 422)),
    ],
)
def test_which_answers_may_pass(status: int | None, passes: bool) -> None:  # noqa: FBT001
    """No answer, 408, 425, 429 and every 5xx; all else is final."""
    assert may_pass(Attempt(status, "…", 0.1)) is passes
    assert isinstance(after(Attempt(status, "…", 0.1), 1), Retry) is passes


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1.0), (2, 2.0), (3, 4.0)])
def test_waits_double(attempts: int, seconds: float) -> None:
    """retry_interval · 2^(n-1), in the middle of chance."""
    assert after(REFUSED, attempts) == Retry(100.0 + seconds)


def test_last_retry_is_the_last() -> None:
    """One attempt and max_retries more."""
    assert isinstance(after(REFUSED, 3), Retry)
    assert after(REFUSED, 4) is Outcome.FAILED


def test_no_retry_that_would_find_the_row_stale() -> None:
    """It was tried and not taken in time: failed, at once."""
    assert isinstance(after(BUSY, 1, deadline=101.1), Retry)
    assert after(BUSY, 1, deadline=101.0) is Outcome.FAILED


def test_retry_after_prolongs_but_never_shortens() -> None:
    """The receiver's wish counts where it is the longer wait, inside the deadline."""
    assert after(BUSY._replace(retry_after=30.0), 1) == Retry(130.0)
    assert after(BUSY._replace(retry_after=0.0), 1) == Retry(101.0)
    assert after(BUSY._replace(retry_after=30.0), 1, deadline=130.0) is Outcome.FAILED


@given(
    interval=st.floats(0.001, 3600),
    attempts=st.integers(1, 60),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_jitter_is_a_fifth_at_the_most(interval: float, attempts: int, chance: float) -> None:
    """Within 20 % of the exact wait, whatever chance says."""
    exact = interval * 2 ** (attempts - 1)
    assert exact * 0.8 <= wait(interval, attempts, chance) <= exact * 1.2


ATTEMPTS = st.builds(
    Attempt,
    status=st.none() | st.sampled_from([200, 204, 302, 400, 404, 408, 425, 429, 500, 503]),
    error=st.just("…"),
    seconds=st.floats(0, 10),
    retry_after=st.none() | st.floats(0, 100),
)


class DeliveryMachine(RuleBasedStateMachine):
    """The life of one delivery: whatever the receiver answers and when, it ends, in time, and for a reason."""

    outcome: Outcome | None = Outcome.DELIVERED  # of one before

    @precondition(lambda self: self.outcome is not None)
    @rule(retries=st.integers(0, 5), interval=st.floats(0.01, 30), deadline=st.floats(0.1, 300))
    def begin(self, retries: int, interval: float, deadline: float) -> None:
        self.policy = dataclasses.replace(POLICY, max_retries=retries, retry_interval=interval)
        self.deadline = deadline
        self.now = 0.0
        self.attempts = 0
        self.outcome = None

    @precondition(lambda self: self.outcome is None)
    @rule(attempt=ATTEMPTS, chance=st.floats(0, 1, exclude_max=True))
    def attempt(self, attempt: Attempt, chance: float) -> None:
        assert self.now < self.deadline, "no attempt is made of a stale row"
        self.attempts += 1
        assert self.attempts <= self.policy.max_retries + 1
        self.now += attempt.seconds
        decision = decide(
            attempt, self.attempts, self.policy, now=self.now, deadline=self.deadline, chance=lambda: chance
        )
        if isinstance(decision, Retry):
            assert may_pass(attempt)
            assert not attempt.accepted
            least = self.policy.retry_interval * 2 ** (self.attempts - 1) * 0.8
            assert decision.at - self.now >= max(least, attempt.retry_after or 0.0) - 1e-6
            self.now = decision.at
        else:
            self.outcome = decision
            assert (decision is Outcome.DELIVERED) is attempt.accepted
            assert decision in {Outcome.DELIVERED, Outcome.FAILED}


TestDeliveryMachine = DeliveryMachine.TestCase
