"""The organisation's day of requests, how much of it is left to others, and what Salesforce's refusals mean."""

import re
from collections.abc import Iterator, Mapping

import httpx
import orjson
from prometheus_client import Gauge

from connectors.http import Outcome, Verdict
from connectors.pace import Announced, Pace

REQUESTS = "data"
"""Requests that count against the day: all but those for tokens and the version list."""

USED = Gauge("vitals_salesforce_daily_requests_used", "Requests of the organisation in the last 24 hours.")
ALLOWED = Gauge("vitals_salesforce_daily_requests_allowed", "Requests that the organisation may send in 24 hours.")

_DAY = "day"
_DAY_SECONDS = 86_400.0
_DAILY_LIMIT_SECONDS = 900.0
_CONCURRENT_SECONDS = 5.0
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


def paces(in_a_day: int, share: float, *, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """At most so many requests in 24 hours, and none once others and this have used the share of the organisation's.

    Then one query in a quarter of an hour shows whether there is more again. Uncounted, only the latter holds.
    """
    return {
        REQUESTS: (
            Pace(
                _DAY,
                in_a_day if counted else None,
                _DAY_SECONDS,
                burst=in_a_day // 10,
                share=share,
                most=in_a_day,
                look_again=_DAILY_LIMIT_SECONDS,
            ),
        )
    }


def announced(headers: Mapping[str, str]) -> Iterator[Announced]:
    """How much of the organisation's day is used."""
    usage = _USAGE.search(headers.get("sforce-limit-info", ""))
    if usage is not None and int(usage[2]):
        used, allowed = int(usage[1]), int(usage[2])
        USED.set(used)
        ALLOWED.set(allowed)
        yield Announced(_DAY, allowed, used)


def classify(response: httpx.Response) -> Verdict | None:
    """Salesforce says with 403 what others say with 429; the error code tells it from a missing permission."""
    codes = error_codes(response.content) if response.status_code >= 400 else set()
    if "REQUEST_LIMIT_EXCEEDED" in codes:
        if "Concurrent" in response.text:
            return Verdict(Outcome.AGAIN, _CONCURRENT_SECONDS)
        return Verdict(Outcome.AGAIN, _DAILY_LIMIT_SECONDS, _DAY)
    if "QUERY_TIMEOUT" in codes or "SERVER_UNAVAILABLE" in codes or "UNKNOWN_EXCEPTION" in codes:
        return Verdict(Outcome.AGAIN)
    if "INVALID_SESSION_ID" in codes:
        return Verdict(Outcome.RENEW)
    return None


def error_codes(answer: bytes | str) -> set[str]:
    """Error codes of an answer: data errors are an array, token errors an object, errors of an edge HTML or nothing."""
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return set()
    errors = body if isinstance(body, list) else [body]
    return {str(one.get("errorCode") or one.get("error")) for one in errors if isinstance(one, dict)}
