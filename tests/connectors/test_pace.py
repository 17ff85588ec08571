"""The laws of a pace: no window of the vendor's holds too many requests, little of it is left unused, and it learns."""

import itertools
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Outcome, VendorHttp, Verdict, Wire
from connectors.pace import Announced, Pace
from tests.connectors.simulated import ManualSeconds, most_in_window
from vitals.errors import RetriableError

URL = "http://vendor.test/data"

gaps = st.lists(st.floats(0.0, 30.0), min_size=1, max_size=150)
latencies = st.lists(st.floats(0.0, 7.0), min_size=1, max_size=20)


@given(requests=st.integers(1, 12), burst=st.integers(1, 12), gaps=gaps, latencies=latencies, early=st.floats(0.0, 1.0))
def test_no_window_of_the_vendors_holds_more_than_the_limit(
    requests: int, burst: int, gaps: list[float], latencies: list[float], early: float
) -> None:
    """Requests come whenever they like and answers take as they like: the vendor counts somewhere between the two."""
    pace, now, counted = Pace("one", requests, 10.0, burst=min(burst, requests)), 0.0, list[float]()
    for gap, latency in zip(gaps, itertools.cycle(latencies), strict=False):
        now += gap
        while wait := pace.take(now):
            now += wait
        counted.append(now + early * latency)
        now += latency
        pace.granted(now)
    assert most_in_window(counted, 10.0) <= requests


@given(
    limits=st.lists(st.tuples(st.integers(1, 9), st.floats(0.5, 20.0)), min_size=1, max_size=3),
    threads=st.integers(1, 6),
    gaps=gaps,
    latencies=latencies,
)
def test_requests_under_way_together_keep_every_limit_that_they_count_against(
    limits: list[tuple[int, float]], threads: int, gaps: list[float], latencies: list[float]
) -> None:
    paces = [Pace(str(number), requests, seconds) for number, (requests, seconds) in enumerate(limits)]
    ends, now, counted, times = list[float](), 0.0, list[float](), itertools.cycle(latencies)

    def answered_until(moment: float) -> None:
        for end in sorted(one for one in ends if one <= moment):
            ends.remove(end)
            for pace in paces:
                pace.granted(end)

    for gap in gaps:
        now += gap
        while True:
            answered_until(now)
            wait = 0.0 if len(ends) < threads else 0.5
            for number, pace in enumerate(paces if not wait else ()):
                if wait := pace.take(now):
                    for taken in paces[:number]:
                        taken.withdraw()
                    break
            if not wait:
                break
            now += wait
        counted.append(now)
        ends.append(now + next(times))
    for requests, seconds in limits:
        assert most_in_window(counted, seconds) <= requests


@given(
    requests=st.integers(1, 200), burst=st.integers(1, 200), seconds=st.floats(0.5, 86_400.0), fills=st.integers(2, 6)
)
def test_a_greedy_client_uses_the_whole_limit(requests: int, burst: int, seconds: float, fills: int) -> None:
    pace, clock = Pace("one", requests, seconds, burst=min(burst, requests)), ManualSeconds()
    for _ in range(requests * fills):
        while wait := pace.take(clock()):
            clock.sleep(wait)
        pace.granted(clock())
    # The length of a slot of the log more in each window, and the rounding.
    assert clock() <= fills * seconds * 1.002


@given(requests=st.integers(4, 200), share=st.floats(0.5, 0.99), seconds=st.sampled_from([1.0, 10.0, 60.0, 3_600.0]))
def test_a_lower_limit_is_learned_from_its_first_refusal(requests: int, share: float, seconds: float) -> None:
    """The limit is learned exactly, used by 1.3 of the ideal at most, and nothing but the first refusal comes of it."""
    allowed = max(-(-requests // 2), int(requests * share))
    pace, clock, sent, refusals = Pace("one", requests, seconds), ManualSeconds(), list[float](), list[float]()
    while len(sent) < 10 * allowed:
        while wait := pace.take(clock()):
            clock.sleep(wait)
        if sum(at > clock() - seconds for at in sent[-allowed:]) == allowed:
            refusals.append(clock())
            pace.refused(clock(), None)
        else:
            sent.append(clock())
            pace.granted(clock())
    assert len(refusals) <= 1
    assert pace.requests == (allowed if refusals else requests)
    assert clock() <= 1.3 * len(sent) / allowed * seconds


def test_a_refusal_that_others_caused_halves_the_pace_for_a_while_only() -> None:
    pace = Pace("one", 60, 60.0, waits=(60.0, 600.0))
    now = _granted(pace, 3, 0.0) + 1.0
    assert pace.take(now) == 0.0
    assert pace.refused(now, None) == 60.0
    assert pace.requests == 30
    now += 60.0
    assert pace.take(now) == 0.0
    assert pace.refused(now, None) == 120.0
    assert pace.requests == 15
    _granted(pace, 1, now + 121.0)
    assert pace.requests == 30, "after two windows without a refusal"
    _granted(pace, 1, now + 400.0)
    assert pace.requests == 60


def test_raising_a_proven_limit_again_costs_one_refusal_and_each_time_later() -> None:
    """The vendor allows 5 a second instead of 10. The client is greedy for three seconds in each four hours."""
    pace, clock, sent, refusals = Pace("one", 10, 1.0), ManualSeconds(), list[float](), list[float]()
    for began in range(0, 5 * 86_400, 14_400):
        clock.sleep(began - clock())
        while clock() < began + 3.0:
            while wait := pace.take(clock()):
                clock.sleep(wait)
            if sum(at > clock() - 1.0 for at in sent[-5:]) == 5:
                refusals.append(clock())
                pace.refused(clock(), None)
            else:
                sent.append(clock())
                pace.granted(clock())
    assert [round(at / 86_400) for at in refusals] == [0, 1, 3]
    assert most_in_window(sent, 1.0) == 5


def test_announced_limits_are_followed_and_refusals_do_not_lower_them() -> None:
    pace = Pace("one", 90, 10.0, burst=9, share=0.9, most=500)
    for announced, allowed in ((190, 171), (95, 85), (10_000, 500), (1, 1)):
        pace.heed(Announced("one", announced), 0.0)
        assert pace.requests == allowed
    pace.heed(Announced("one", 100), 0.0)
    assert pace.take(0.0) == 0.0
    assert pace.refused(0.0, 3.0) == 3.0
    assert pace.requests == 90
    assert pace.take(1.0) == 2.0
    assert pace.take(3.0) == 0.0


def test_a_lower_announcement_leaves_no_burst_of_the_higher_one() -> None:
    pace = Pace("one", 150, 10.0, burst=15, share=0.9)
    pace.heed(Announced("one", 1_666), 0.0)
    pace.heed(Announced("one", 166), 60.0)
    assert sum(pace.take(60.0) == 0.0 for _ in range(100)) == 14


@given(
    limits=st.lists(st.integers(2, 60), min_size=1, max_size=4),
    pauses=st.lists(st.floats(0.0, 12.0), min_size=4, max_size=4),
)
def test_no_window_holds_more_than_the_greatest_limit_that_was_announced(
    limits: list[int], pauses: list[float]
) -> None:
    pace, clock, sent = Pace("one", 15, 10.0, burst=2), ManualSeconds(), list[float]()
    for limit, pause in zip(limits, pauses, strict=False):
        pace.heed(Announced("one", limit), clock())
        clock.sleep(pause)
        for _ in range(80):
            while wait := pace.take(clock()):
                clock.sleep(wait)
            sent.append(clock())
            pace.granted(clock())
    assert most_in_window(sent, 10.0) <= max(15, *limits)


def test_once_others_used_up_the_share_one_request_looks_for_all() -> None:
    pace = Pace("day", None, 86_400.0, share=0.8, look_again=900.0)
    pace.heed(Announced("day", 100_000, used=81_000), 0.0)
    assert [pace.take(at) for at in (0.0, 600.0)] == [900.0, 300.0]
    assert pace.take(901.0) == 0.0
    assert pace.take(901.0) == 900.0
    pace.heed(Announced("day", 100_000, used=100), 902.0)
    assert [pace.take(902.0), pace.take(902.0)] == [0.0, 0.0]


def test_a_pace_tells_when_it_would_not_wait_and_counts_nothing_by_that() -> None:
    pace = Pace("one", 10, 60.0, burst=2)
    assert [pace.ready_in(2, 0.0), pace.ready_in(5, 0.0)] == [0.0, 0.0]
    _granted(pace, 2, 0.0)
    wait = pace.ready_in(2, 0.0)
    assert wait == pytest.approx(12.0)
    assert pace.ready_in(2, wait) == 0.0
    _granted(pace, 2, wait)


@pytest.mark.parametrize(("requests", "seconds", "burst"), [(1, 60.0, 2), (10, 0.0, 1), (10, 60.0, 0)])
def test_a_pace_that_could_not_hold_is_refused(requests: int, seconds: float, burst: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        Pace("one", requests, seconds, burst=burst)


def test_a_paced_client_waits_or_hands_a_long_wait_on() -> None:
    short = client(Pace("one", 10, 60.0), ok(), ok())
    short.get(URL, pace="data")
    short.get(URL, pace="data")
    assert short.monotonic() == pytest.approx(6.0)
    long = client(Pace("one", 1, 3_600.0), ok(), ok())
    long.get(URL, pace="data")
    with pytest.raises(RetriableError) as raised:
        long.get(URL, pace="data")
    assert raised.value.retry_after_seconds == pytest.approx(3_600.0)


def test_a_refusal_holds_every_client_of_the_limit_and_the_named_one_only() -> None:
    exports, account = Pace("exports", None, 60.0), Pace("account", None, 60.0)

    def classify(response: httpx.Response) -> Verdict | None:
        return Verdict(Outcome.AGAIN, 120.0, "exports") if response.status_code == 429 else None

    clock = ManualSeconds()
    wire = Wire(
        transport=httpx.MockTransport(lambda request: answers[request.url.path].pop(0)),
        sleep=clock.sleep,
        monotonic=clock,
    )
    answers = {"/exports": [httpx.Response(429), ok()], "/objects": [ok()]}
    paces = {"exports": (exports, account), "objects": (account,)}
    first, second = (VendorHttp("vendor", classify_first=classify, paces=paces, wire=wire) for _ in range(2))
    with pytest.raises(RetriableError):
        first.get("http://vendor.test/exports", pace="exports")
    assert second.ready_in("exports") == 120.0
    with pytest.raises(RetriableError, match="rate") as raised:
        second.get("http://vendor.test/exports", pace="exports")
    assert raised.value.retry_after_seconds == 120.0
    second.get("http://vendor.test/objects", pace="objects")
    clock.sleep(120.0)
    second.get("http://vendor.test/exports", pace="exports")


def test_what_a_failed_connection_sent_counts() -> None:
    failing = client(Pace("one", 1, 60.0), httpx.ConnectError("refused"), ok())
    with pytest.raises(RetriableError) as raised:
        failing.get(URL, pace="data")
    assert raised.value.retry_after_seconds is not None
    assert raised.value.retry_after_seconds > 50.0


def client(pace: Pace, *answers: httpx.Response | Exception) -> VendorHttp:
    """A client with that pace and a clock of its own, whose vendor gives these answers."""
    clock, given = ManualSeconds(), iter(answers)
    wire = Wire(
        transport=httpx.MockTransport(lambda _request: _give(given)),
        sleep=clock.sleep,
        draw=lambda _low, high: high,
        monotonic=clock,
    )
    return VendorHttp("vendor", paces={"data": (pace,)}, wire=wire)


def ok() -> httpx.Response:
    """An answer."""
    return httpx.Response(200, json=1)


def _give(answers: Iterator[httpx.Response | Exception]) -> httpx.Response:
    answer = next(answers)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _granted(pace: Pace, requests: int, now: float) -> float:
    for _ in range(requests):
        while wait := pace.take(now):
            now += wait
        pace.granted(now)
    return now
