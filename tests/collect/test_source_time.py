"""Source time follows a simulator, never goes back, and stands still in its silence; promises stay behind receipts."""

import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.collect.inbox import MOST_BYTES, Inbox
from connectors.collect.source_time import LONGEST_SILENCE_SECONDS, SourceTime
from vitals.clock import ManualClock
from vitals.errors import RetriableError

START = datetime(2021, 1, 1, tzinfo=UTC)
URL = "http://simulator/_sim/clock"


class Monotonic:
    """Wall seconds that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_wall_clock_without_a_simulator() -> None:
    wall = ManualClock(START)
    time = SourceTime(wall=wall)
    assert (time.known, time.simulated, time.now(), time.slack) == (True, False, START, timedelta(seconds=1))
    wall.advance(timedelta(hours=-1))
    assert time.now() == START


def test_a_simulators_time_is_extrapolated_with_its_speed_and_not_beyond_its_silence() -> None:
    monotonic = Monotonic()
    time = SourceTime(URL, monotonic=monotonic)
    with pytest.raises(RetriableError, match="has not told its time"):
        time.now()
    time.observe(START, 60.0)
    monotonic.seconds = 2.0
    assert time.now() == START + timedelta(minutes=2)
    monotonic.seconds = 1000.0
    assert time.now() == START + timedelta(seconds=60 * LONGEST_SILENCE_SECONDS)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(-100, 100), st.floats(0, 1000)), max_size=20))
def test_it_never_goes_back(answers: list[tuple[float, int, float]]) -> None:
    monotonic = Monotonic()
    time = SourceTime(URL, monotonic=monotonic)
    time.not_before(START)
    told = [START]
    for wait, seconds, speed in answers:
        time.observe(START + timedelta(seconds=seconds), speed)
        monotonic.seconds += wait
        told.append(time.now())
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("answer", "moved"),
    [
        ({"source_time": "2021-01-01T00:00:00Z", "speed": 10, "paused": False}, timedelta(seconds=10)),
        ({"source_time": "2021-01-01T00:00:00Z", "speed": 10, "paused": True}, timedelta(0)),
    ],
)
def test_it_reads_the_simulators_answer(answer: dict[str, object], moved: timedelta) -> None:
    monotonic = Monotonic()
    time = SourceTime(URL, monotonic=monotonic)
    time.refresh(httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=answer))))
    monotonic.seconds = 1.0
    assert time.now() == START + moved


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, json=[]), httpx.Response(200, json={"speed": 1})]
)
def test_what_is_no_clock_is_a_passing_fault(answer: httpx.Response) -> None:
    with pytest.raises(RetriableError, match="does not tell its time"):
        SourceTime(URL).refresh(httpx.Client(transport=httpx.MockTransport(lambda request: answer)))


def test_a_promise_is_held_back_by_the_oldest_request_that_it_does_not_include() -> None:
    wall = ManualClock(START)
    inbox = Inbox(SourceTime(wall=wall))
    first = inbox.admit(1)
    wall.advance(timedelta(minutes=1))
    second = inbox.admit(1)
    wall.advance(timedelta(minutes=1))
    slack = timedelta(seconds=1)
    assert inbox.complete_through([]) == START - slack
    assert inbox.complete_through([first]) == second.received_at - slack
    assert inbox.complete_through([first, second]) == START + timedelta(minutes=2) - slack
    inbox.leave(first)
    assert inbox.complete_through([]) == second.received_at - slack


def test_a_full_inbox_refuses_until_something_leaves() -> None:
    inbox = Inbox(SourceTime())
    first = inbox.admit(MOST_BYTES)
    with pytest.raises(RetriableError, match="Too many requests"):
        inbox.admit(1)
    inbox.leave(first)
    inbox.leave(first)
    assert inbox.admit(MOST_BYTES).size == MOST_BYTES


def test_waiting_requests_are_taken_in_order_up_to_a_transaction() -> None:
    inbox = Inbox(SourceTime())
    submissions = [inbox.admit(1) for _ in range(3)]
    putter = threading.Thread(target=lambda: [inbox.put(one) for one in submissions])
    putter.start()
    putter.join()
    assert inbox.take(0.0, 0.0, 500) == submissions
    assert inbox.empty
