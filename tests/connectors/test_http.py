"""The polite client: what an answer means, how long it waits, and that it renews credentials once."""

from datetime import UTC, datetime

import httpx
import pytest

from connectors.authorization import FixedAuthorization, TokenAuthorization
from connectors.http import ATTEMPTS, Outcome, VendorHttp, Verdict, Wire, classify, retry_after
from connectors.salesforce.limits import classify as classify_salesforce
from connectors.stripe.client import classify as classify_stripe
from vitals.clock import ManualClock
from vitals.errors import FatalError, RetriableError

URL = "http://vendor.test/data"
NOON = "Mon, 23 Nov 2026 12:00:00 GMT"


class Vendor:
    """A client whose vendor gives the answers listed, and whose waits are kept instead of slept."""

    def __init__(self, *answers: httpx.Response | Exception, **more: object) -> None:
        self._answers = iter(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        self.http = VendorHttp(
            "vendor",
            wire=Wire(
                transport=httpx.MockTransport(self._answer),
                sleep=self.waits.append,
                draw=lambda _low, high: high,
                clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)),
            ),
            **more,  # type: ignore[arg-type]
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ok(body: object = 1) -> httpx.Response:
    return httpx.Response(200, json=body, headers={"Date": NOON})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DONE),
        (204, Outcome.DONE),
        (301, Outcome.FATAL),
        (400, Outcome.REFUSED),
        (401, Outcome.RENEW),
        (403, Outcome.FATAL),
        (404, Outcome.REFUSED),
        (406, Outcome.AGAIN),
        (408, Outcome.AGAIN),
        (409, Outcome.AGAIN),
        (420, Outcome.AGAIN),
        (422, Outcome.REFUSED),
        (429, Outcome.AGAIN),
        (500, Outcome.AGAIN),
        (502, Outcome.AGAIN),
        (503, Outcome.AGAIN),
        (504, Outcome.AGAIN),
        (530, Outcome.AGAIN),
    ],
)
def test_general_classification(status: int, outcome: Outcome) -> None:
    assert classify(httpx.Response(status)).outcome is outcome


def errors(code: str, message: str = "") -> list[dict[str, str]]:
    return [{"errorCode": code, "message": message}]


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (403, errors("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), Verdict(Outcome.AGAIN, 900.0, "day")),
        (
            403,
            errors("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
            Verdict(Outcome.AGAIN, 5.0),
        ),
        (403, errors("INSUFFICIENT_ACCESS"), None),
        (400, errors("QUERY_TIMEOUT"), Verdict(Outcome.AGAIN)),
        (400, errors("INVALID_FIELD"), None),
        (401, errors("INVALID_SESSION_ID"), Verdict(Outcome.RENEW)),
        (400, {"error": "invalid_grant", "error_description": "expired"}, None),
    ],
)
def test_salesforce_tells_limits_from_permissions_by_code(status: int, body: object, verdict: Verdict | None) -> None:
    assert classify_salesforce(httpx.Response(status, json=body)) == verdict


def test_salesforce_classification_survives_an_edge_without_json() -> None:
    assert classify_salesforce(httpx.Response(503, text="<html>")) is None


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (429, {"Stripe-Rate-Limited-Reason": "endpoint-rate"}, Verdict(Outcome.AGAIN, limit="endpoint-rate")),
        (429, {"Stripe-Should-Retry": "true"}, Verdict(Outcome.AGAIN)),
        (429, {}, Verdict(Outcome.AGAIN)),
        (400, {"Stripe-Should-Retry": "true"}, Verdict(Outcome.AGAIN)),
        (500, {"Stripe-Should-Retry": "false"}, Verdict(Outcome.AGAIN, 60.0)),
        (401, {"Stripe-Should-Retry": "false"}, None),
    ],
)
def test_stripe_says_whether_to_repeat(status: int, headers: dict[str, str], verdict: Verdict | None) -> None:
    assert classify_stripe(httpx.Response(status, headers=headers)) == verdict


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "37"}, 37.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        # A date counts from the vendor's own clock, not from this machine's.
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": NOON}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:59:30 GMT", "date": NOON}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds


def test_a_hint_is_kept_with_a_tenth_of_jitter() -> None:
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "7"}), ok(5))
    assert vendor.http.get(URL).body == 5
    assert vendor.waits == [pytest.approx(7.7)]


def test_without_a_hint_the_bound_doubles() -> None:
    vendor = Vendor(*[httpx.Response(503)] * 4, ok())
    vendor.http.get(URL)
    assert vendor.waits == [1.0, 2.0, 4.0, 8.0]


def test_a_long_hint_is_the_runners_to_wait_for() -> None:
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "120"}))
    with pytest.raises(RetriableError) as raised:
        vendor.http.get(URL)
    assert raised.value.retry_after_seconds == 120.0
    assert not vendor.waits


def test_a_lasting_fault_ends_in_a_retriable_error_without_a_long_wait() -> None:
    vendor = Vendor(*[httpx.ConnectError("refused")] * ATTEMPTS)
    with pytest.raises(RetriableError, match="ConnectError"):
        vendor.http.get(URL)
    assert len(vendor.requests) <= ATTEMPTS
    assert max(vendor.waits) <= 10.0


def test_a_truncated_body_is_asked_for_again() -> None:
    vendor = Vendor(httpx.Response(200, content=b'{"a": [1, 2'), ok({"a": 1}))
    assert vendor.http.get(URL).body == {"a": 1}
    assert len(vendor.requests) == 2


def test_broken_compression_is_asked_for_again() -> None:
    def broken() -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(b"no gzip"), headers={"Content-Encoding": "gzip"})

    vendor = Vendor(broken(), ok())
    assert vendor.http.get(URL).body == 1


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_is_fatal_and_does_not_name_the_query(status: int) -> None:
    vendor = Vendor(httpx.Response(status, text="no"))
    with pytest.raises(FatalError, match=f"answered {status} to {URL}: no") as raised:
        vendor.http.get(URL, {"email": "ana@example.test"})
    assert "ana@example.test" not in str(raised.value)


def test_a_tolerated_refusal_is_an_answer() -> None:
    answer = Vendor(httpx.Response(422, text="Too recent", headers={"Date": NOON})).http.get(URL, tolerate=(422,))
    assert (answer.status, answer.body) == (422, "Too recent")
    assert answer.at == datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_vendors_time_comes_from_any_answer_and_else_from_the_clock() -> None:
    assert Vendor(httpx.Response(404, headers={"Date": NOON})).http.time(URL) == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert Vendor(httpx.Response(200)).http.time(URL) == datetime(2026, 1, 1, tzinfo=UTC)


def test_an_expired_token_is_renewed_once_and_the_request_repeated() -> None:
    tokens = iter(("first", "second", "third"))
    vendor = Vendor(httpx.Response(401), ok(), authorization=TokenAuthorization(lambda: next(tokens)))
    assert vendor.http.get(URL).body == 1
    assert [request.headers["authorization"] for request in vendor.requests] == ["Bearer first", "Bearer second"]
    assert vendor.waits in ([], [0.0])


def test_a_second_401_is_fatal() -> None:
    vendor = Vendor(*[httpx.Response(401)] * 2, authorization=FixedAuthorization("Basic x"))
    with pytest.raises(FatalError, match="credentials"):
        vendor.http.get(URL)


def test_a_token_that_another_thread_replaced_is_not_replaced_again() -> None:
    tokens = iter(("first", "second", "third"))
    authorization = TokenAuthorization(lambda: next(tokens))
    assert authorization.header() == "Bearer first"
    authorization.renew("Bearer first")
    authorization.renew("Bearer first")  # the slower of two threads that were rejected together
    assert authorization.header() == "Bearer second"


def test_closing_ends_a_wait() -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        http.close()  # as another thread does on a stop
        return httpx.Response(503)

    http = VendorHttp("vendor", wire=Wire(transport=httpx.MockTransport(answer)))
    with pytest.raises(RetriableError, match="closed"):
        http.get(URL)
