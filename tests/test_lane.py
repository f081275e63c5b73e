"""A lane as a whole: bounded, in order, nothing lost, nothing twice."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pushd.event import Delivery, Row
from pushd.lane import Job, Lane


def delivery(number: int) -> Delivery:
    return Delivery(Row(number, 0, None, None, None, "A", None, None, None, None), "x", 1, born=0.0)


def filled(size: int, count: int) -> Lane:
    lane = Lane(size)
    for number in range(count):
        lane.put(delivery(number), 0.0)
    return lane


def taken(lane: Lane, now: float = 0.0) -> Job:
    job = lane.take(now)
    assert job is not None
    return job


def test_new_jobs_come_out_in_order() -> None:
    """Oldest first, as they were put."""
    lane = filled(10, 3)
    assert [taken(lane).delivery.row.id for _ in range(3)] == [0, 1, 2]
    assert lane.take(0.0) is None


def test_retry_waits_for_its_time_and_then_goes_first() -> None:
    """While it waits it holds nobody up; due, it is older than all that is new."""
    lane = filled(10, 2)
    lane.retry(taken(lane), at=5.0)
    assert lane.next_due == 5.0
    assert taken(lane, 4.9).delivery.row.id == 1
    lane.put(delivery(2), 4.9)
    assert taken(lane, 5.0).delivery.row.id == 0
    assert lane.next_due is None


def test_room_counts_all_that_is_in_memory() -> None:
    """New, waiting and in hand: only what is done makes room."""
    lane = filled(3, 3)
    assert lane.room == 0
    job = taken(lane)
    assert lane.room == 0
    lane.retry(job, at=9.0)
    assert lane.room == 0
    lane.done(taken(lane, 9.0))
    assert lane.room == 1


def test_lane_that_is_behind_wants_a_sweep_at_half() -> None:
    """Not at the first free place: each sweep costs the database."""
    lane = filled(4, 4)
    lane.behind = True
    lane.done(taken(lane))
    assert not lane.wants_sweep
    lane.done(taken(lane))
    assert lane.wants_sweep
    lane.behind = False
    assert not lane.wants_sweep


def test_emptied_lane_hands_over_everything() -> None:
    """In hand, waiting and new, with what has been tried of each."""
    lane = filled(5, 3)
    lane.retry(Job(taken(lane).delivery, attempts=1), at=9.0)
    taken(lane)
    assert {job.delivery.row.id: job.attempts for job in lane.empty()} == {0: 1, 1: 0, 2: 0}
    assert len(lane) == 0


def test_removed_jobs_are_handed_over_but_those_in_hand_stay() -> None:
    """Another daemon has taken them over; an attempt that is under way cannot be called back."""
    lane = filled(5, 3)
    in_hand = taken(lane)
    lane.retry(taken(lane), at=9.0)
    gone = lane.remove({delivery(number).key for number in range(5)})
    assert [job.delivery.row.id for job in gone] == [1, 2]
    assert in_hand.delivery.key in lane
    assert (len(lane), lane.room, lane.next_due) == (1, 4, None)


def test_lane_tells_since_when_nobody_came() -> None:
    """From the first job that lies there, or the last time that somebody came for one; retries from when they are due."""
    lane = Lane(10)
    assert lane.uncalled_since(1.0) is None
    lane.put(delivery(0), 1.0)
    lane.put(delivery(1), 2.0)
    assert lane.uncalled_since(9.0) == 1.0
    job = taken(lane, 3.0)
    assert lane.uncalled_since(9.0) == 3.0
    taken(lane, 4.0)
    lane.retry(job, at=6.0)
    assert lane.uncalled_since(5.0) is None
    assert lane.uncalled_since(7.0) == 6.0


def test_lane_tells_who_has_been_busy_for_longest_and_what_is_oldest() -> None:
    """The longest in hand, and the birth of the oldest that waits, new or to be tried again."""
    lane = Lane(10)
    assert (lane.busy_since, lane.oldest()) == (None, None)
    for number, born in enumerate([5.0, 4.0, 6.0]):
        lane.put(delivery(number)._replace(born=born), 7.0)
    first = taken(lane, 8.0)
    taken(lane, 9.0)
    assert (lane.busy_since, lane.oldest()) == (8.0, 6.0)
    lane.retry(first, at=20.0)
    assert (lane.busy_since, lane.oldest()) == (9.0, 5.0)


class LaneMachine(RuleBasedStateMachine):
    """Any sequence of uses against a model that only counts and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.lane = Lane(8)
        self.now = 0.0
        self.number = 0
        self.new: list[int] = []
        self.waiting: dict[int, float] = {}
        self.in_hand: dict[int, Job] = {}

    @precondition(lambda self: self.lane.room > 0)
    @rule()
    def put(self) -> None:
        self.lane.put(delivery(self.number), self.now)
        self.new.append(self.number)
        self.number += 1

    @rule()
    def take(self) -> None:
        job = self.lane.take(self.now)
        due = {number: at for number, at in self.waiting.items() if at <= self.now}
        if job is None:
            assert not due
            assert not self.new
            return
        number = job.delivery.row.id
        if due:
            assert due[number] == min(due.values())
            del self.waiting[number]
        else:
            assert number == self.new.pop(0)
        self.in_hand[number] = job

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), after=st.floats(0.0, 10.0))
    def retry(self, data: st.DataObject, after: float) -> None:
        number = data.draw(st.sampled_from(sorted(self.in_hand)))
        job = self.in_hand.pop(number)
        self.waiting[number] = self.now + after
        self.lane.retry(Job(job.delivery, job.attempts + 1), self.now + after)

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        self.lane.done(self.in_hand.pop(data.draw(st.sampled_from(sorted(self.in_hand)))))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        numbers = data.draw(st.sets(st.integers(0, self.number)))
        removed = {job.delivery.row.id for job in self.lane.remove({delivery(number).key for number in numbers})}
        assert removed == numbers & (set(self.new) | set(self.waiting))
        self.new = [number for number in self.new if number not in numbers]
        self.waiting = {number: at for number, at in self.waiting.items() if number not in numbers}

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def all_is_accounted_for(self) -> None:
        assert len(self.lane) == len(self.new) + len(self.waiting) + len(self.in_hand)
        assert self.lane.room == 8 - len(self.lane)
        assert self.lane.busy == len(self.in_hand)
        for number in range(self.number):
            here = number in self.new or number in self.waiting or number in self.in_hand
            assert (delivery(number).key in self.lane) is here
        assert self.lane.next_due == min(self.waiting.values(), default=None)


TestLaneMachine = LaneMachine.TestCase
