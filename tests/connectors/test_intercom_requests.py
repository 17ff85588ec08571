"""Intercom's answers: what they mean, how long to wait, and how many requests its windows take."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.authorization import FixedAuthorization
from connectors.contract import RawObject
from connectors.http import Outcome, VendorHttp, Wire
from connectors.intercom import connector
from connectors.intercom.client import (
    API_VERSION,
    CursorRefusedError,
    IntercomClient,
    ScrollLostError,
    ScrollTakenError,
)
from connectors.intercom.limits import FIRST_REQUESTS, REQUESTS, announced, classify, paces
from connectors.intercom.mapping import CONVERSATION, map_object
from connectors.pace import Pace
from tests.connectors import golden
from vitals.errors import BadRecordError, FatalError, RetriableError
from vitals.settings import Settings

DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
NOON = 1_795_435_200
# What answers announce one after the other, and what is sent then.
LIMITS = {"1666": 1_499, None: 1_499, "lots": 1_499, "166": 149, "1": 1}
EMPTY: dict[str, Any] = {"type": "conversation.list", "conversations": [], "pages": {"type": "pages"}, "total_count": 0}


class Answers(httpx.BaseTransport):
    """Gives these answers one after the other, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers: Iterator[httpx.Response] = iter(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return next(self.answers)


def answer(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.Response(status, json=EMPTY if body is None else body, headers={"Date": DATE, **named})


def errors(code: str, message: str = "") -> dict[str, Any]:
    return {"type": "error.list", "request_id": "b3c8e0f1", "errors": [{"code": code, "message": message}]}


def client_of(*answers: httpx.Response) -> tuple[IntercomClient, Answers, list[float]]:
    transport, waits = Answers(*answers), list[float]()
    http = VendorHttp(
        "intercom",
        authorization=FixedAuthorization("Bearer t"),
        classify_first=classify,
        wire=Wire(transport=transport, sleep=waits.append, draw=lambda _low, high: high),
    )
    return IntercomClient(http, "https://intercom.test"), transport, waits


def test_a_search_asks_for_what_was_changed_in_a_window_oldest_first() -> None:
    client, transport, _ = client_of(answer())
    client.conversations(1_793_000_000, 1_793_003_600, "WzFd")
    assert orjson.loads(transport.asked[0].content) == {
        "query": {
            "operator": "AND",
            "value": [
                {"field": "updated_at", "operator": ">", "value": 1_792_999_999},
                {"field": "updated_at", "operator": "<", "value": 1_793_003_601},
            ],
        },
        "sort": {"field": "updated_at", "order": "ascending"},
        "pagination": {"per_page": 150, "starting_after": "WzFd"},
    }


@pytest.mark.parametrize(
    ("pages", "after"),
    [
        ({"type": "pages"}, None),
        ({"type": "pages", "next": None}, None),
        (None, None),
        ({"next": {"per_page": 150, "starting_after": "x"}}, "x"),
        ({"next": "https://api.intercom.io/conversations?page=2"}, None),
    ],
)
def test_the_next_page_is_an_object_or_there_is_none(pages: Any, after: str | None) -> None:
    client, _, _ = client_of(answer(body={**EMPTY, "pages": pages}))
    assert client.conversations(0, 1, None).after == after


def test_every_request_names_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_INTERCOM_ACCESS_TOKEN", "token")
    transport = Answers(answer(body={"type": "admin", "app": {"timezone": "Europe/Berlin"}}))
    (stream,) = connector.create(Settings(simulator_url=""), Wire(transport=transport))
    assert stream._client.workspace().timezone == "Europe/Berlin"  # type: ignore[attr-defined]
    (asked,) = transport.asked
    assert (asked.headers["intercom-version"], asked.headers["authorization"]) == (API_VERSION, "Bearer token")
    assert asked.url == "https://api.intercom.io/me"


@pytest.mark.parametrize(
    ("reset", "waited"),
    [(str(NOON + 7), 7.7), (str(NOON), 1.1), (str(NOON - 30), 1.1), ("soon", 1.0), (None, 1.0)],
)
def test_above_the_limit_it_waits_until_the_window_ends_and_a_second_at_least(reset: str | None, waited: float) -> None:
    headers = {} if reset is None else {"x_ratelimit_reset": reset}
    client, _, waits = client_of(answer(429, errors("rate_limit_exceeded"), **headers), answer())
    client.conversations(0, 1, None)
    assert waits == [pytest.approx(waited)]


def test_a_longer_wait_is_the_runners() -> None:
    client, _, waits = client_of(answer(429, errors("rate_limit_exceeded"), x_ratelimit_reset=str(NOON + 60)))
    with pytest.raises(RetriableError) as raised:
        client.conversations(0, 1, None)
    assert raised.value.retry_after_seconds == 60
    assert not waits


@pytest.mark.parametrize(("code", "status"), [("forbidden", 403), ("api_plan_restricted", 403), ("client_error", 400)])
def test_a_refusal_says_why(code: str, status: int) -> None:
    client, transport, _ = client_of(answer(status, errors(code)))
    with pytest.raises(FatalError, match=code):
        client.conversations(0, 1, None)
    assert len(transport.asked) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    client, transport, _ = client_of(answer(status, errors("server_error")), answer())
    client.conversations(0, 1, None)
    assert len(transport.asked) == 2


def test_a_withdrawn_token_is_asked_for_once_more_and_then_named() -> None:
    client, transport, _ = client_of(*[answer(401, errors("token_not_found"))] * 2)
    with pytest.raises(FatalError, match=r"rejects the credentials.*token_not_found"):
        client.workspace()
    assert len(transport.asked) == 2


def test_a_place_that_is_not_taken_is_no_refusal_of_the_search() -> None:
    client, _, _ = client_of(answer(400, errors("parameter_invalid", "starting_after")))
    with pytest.raises(CursorRefusedError, match="starting_after"):
        client.contacts(0, "old")


def test_what_a_scroll_says() -> None:
    broken = errors("server_error", "Request failed due to an internal network error. Please restart the scroll.")
    client, transport, _ = client_of(
        answer(400, errors("scroll_exists", "scroll already exists for this workspace")),
        answer(404, errors("not_found")),
        answer(500, broken),
        answer(500, errors("server_error", "Something else")),
        answer(body={"type": "list", "data": [{"id": "1"}], "scroll_param": "s"}),
    )
    with pytest.raises(ScrollTakenError, match="scroll already exists"):
        client.companies(None)
    for _ in range(2):
        with pytest.raises(ScrollLostError):
            client.companies("s")
    assert client.companies("s").scroll == "s", "any other 500 passes"
    assert len(transport.asked) == 5


@pytest.mark.parametrize("body", [[], {}, {"conversations": None, "pages": None}, {"pages": {}, "conversations": 5}])
def test_an_answer_of_another_form_is_not_read_as_nothing(body: Any) -> None:
    client, transport, _ = client_of(*[answer(body=body) for _ in range(2)])
    with pytest.raises(RetriableError):
        client.conversations(0, 1, None)
    assert len(transport.asked) == 1


def test_only_the_vendors_own_verdicts_come_first() -> None:
    request = httpx.Request("GET", "https://intercom.test/me")
    assert classify(httpx.Response(500, text="restart the scroll", request=request)) is None
    assert classify(httpx.Response(404, request=request)) is None
    limited = classify(httpx.Response(429, request=request))
    assert limited is not None
    assert limited.outcome is Outcome.AGAIN


def test_the_announced_limit_sets_the_pace() -> None:
    kinds = paces(counted=True)
    (pace,) = kinds[REQUESTS]
    assert pace.requests == FIRST_REQUESTS
    told = [answer(body={"id": "1"}, **({} if limit is None else {"x_ratelimit_limit": limit})) for limit in LIMITS]
    http = VendorHttp("intercom", paces=kinds, read_limits=announced, wire=Wire(transport=Answers(*told)))
    for requests in LIMITS.values():
        IntercomClient(http, "https://intercom.test").company("1")
        assert pace.requests == requests


def whole_conversation() -> dict[str, Any]:
    path = next(path for path in golden.files() if path.stem == "conversation_rated" and "intercom" in path.parts)
    body: dict[str, Any] = orjson.loads(path.read_bytes())["raw"]["body"]
    return body


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5), st.just([]), st.just({})
)


@given(field=st.sampled_from(sorted(whole_conversation())), value=values)
def test_a_field_of_another_type_is_a_bad_record_at_worst(field: str, value: Any) -> None:
    body = {**whole_conversation(), field: value}
    try:
        mapped = map_object(RawObject(CONVERSATION, "515", body), {})
    except BadRecordError:
        return
    assert all(event.value is None or event.value >= 0 for event in mapped.events)


@given(
    field=st.sampled_from(["rating", "created_at", "updated_at", "contact", "remark"]),
    value=values,
)
def test_a_rating_of_another_form_is_a_bad_record_at_worst(field: str, value: Any) -> None:
    whole = whole_conversation()
    body = {**whole, "conversation_rating": {**whole["conversation_rating"], field: value}}
    try:
        mapped = map_object(RawObject(CONVERSATION, "515", body), {})
    except BadRecordError:
        return
    told = [event for event in mapped.events if event.kind == "support.csat_answered"]
    assert all(event.value is not None and 1 <= event.value <= 5 for event in told)
    assert not any("ok" in event.properties.values() for event in told), "remarks are somebody's words"


def test_the_pace_is_one_for_every_endpoint() -> None:
    transport, clock = Answers(answer(body={"type": "admin", "app": {}}), answer(), answer(body={"id": "1"})), [0.0]
    wire = Wire(transport=transport, monotonic=lambda: clock[0])
    http = VendorHttp("intercom", paces={REQUESTS: (Pace("app", 3, 10.0, burst=3),)}, wire=wire)
    client = IntercomClient(http, "https://intercom.test")
    client.workspace()
    client.conversations(0, 1, None)
    client.company("1")
    assert http.ready_in(REQUESTS) == pytest.approx(10.0)
