"""HubSpot's limits, what its refusals mean, and what its headers say of the limits."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import orjson

from connectors.http import Classify, Outcome, Verdict, answered_at, retry_after
from connectors.pace import Announced, Pace
from vitals.clock import WallClock

READS = "reads"
SEARCHES = "searches"
"""Kinds of requests: searches count in a limit of their own too."""

# As a refusal names them.
SECONDLY, TEN_SECONDLY, DAILY = "SECONDLY", "TEN_SECONDLY_ROLLING", "DAILY"

_DAY_SECONDS = 86_400.0
_FIRST_IN_TEN_SECONDS = 90
_SEARCHES_PER_SECOND = 4
_SHARE = 0.9

# Seconds to wait by policy where there is no Retry-After; that of the day ends at the portal's midnight.
_POLICY_SECONDS = {SECONDLY: 1.0, TEN_SECONDLY: 10.0}
# The edge's answer to a malformed token.
_EDGE_REFUSES_TOKEN = 530


def classifier(passing: Iterable[int], zone: ZoneInfo) -> Classify:
    """HubSpot's own verdicts. `passing` are further statuses that pass, such as 423 for a locked account.

    `zone` is the portal's time zone, in which its day of requests ends.
    """
    also_passing = frozenset(passing)

    def classify(response: httpx.Response) -> Verdict | None:
        status = response.status_code
        if status == _EDGE_REFUSES_TOKEN:
            return Verdict(Outcome.FATAL)
        if status == 429:
            policy = _policy(response)
            hint = retry_after(response.headers)
            if policy == DAILY:
                # Asking again sooner would only burn more of it.
                midnight = _until_midnight(answered_at(response.headers, WallClock()), zone)
                return Verdict(Outcome.AGAIN, max(midnight, hint or 0.0), policy)
            return Verdict(Outcome.AGAIN, _POLICY_SECONDS.get(policy) if hint is None else hint, policy)
        if status in also_passing:
            return Verdict(Outcome.AGAIN, retry_after(response.headers))
        return None

    return classify


def _policy(response: httpx.Response) -> str:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return ""
    return str(body.get("policyName", "")) if isinstance(body, dict) else ""


def _until_midnight(now: datetime, zone: ZoneInfo) -> float:
    local = now.astimezone(zone)
    tomorrow = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return (tomorrow.astimezone(now.tzinfo) - now).total_seconds()


def paces(in_ten_seconds: int | None, in_a_day: int, *, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """At most so many requests, and nine tenths of what HubSpot announces; uncounted, they only wait after a refusal.

    Before any answer, 90 in ten seconds: below what a public app may send.
    """
    first = _FIRST_IN_TEN_SECONDS if in_ten_seconds is None else in_ten_seconds
    day = Pace(DAILY, in_a_day if counted else None, _DAY_SECONDS, burst=in_a_day // 10, share=_SHARE, most=in_a_day)
    burst = Pace(TEN_SECONDLY, first if counted else None, 10.0, burst=10, share=_SHARE, most=in_ten_seconds)
    searches = Pace(SECONDLY, _SEARCHES_PER_SECOND if counted else None, 1.0)
    return {READS: (burst, day), SEARCHES: (searches, burst, day)}


def announced(headers: Mapping[str, str]) -> Iterator[Announced]:
    """The limits of ten seconds and of the day; the answers to searches tell none."""
    most, milliseconds, daily = (
        headers.get(f"x-hubspot-ratelimit-{name}", "") for name in ("max", "interval-milliseconds", "daily")
    )
    if most.isdigit() and int(most) and milliseconds == "10000":
        yield Announced(TEN_SECONDLY, int(most))
    if daily.isdigit() and int(daily):
        yield Announced(DAILY, int(daily))
