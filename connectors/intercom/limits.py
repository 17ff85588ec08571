"""The request rate of an app, which Intercom announces in every answer, and what its answers mean."""

from collections.abc import Iterator, Mapping

import httpx

from connectors.http import Outcome, Verdict, answered_at
from connectors.pace import Announced, Pace
from vitals.clock import WallClock

REQUESTS = "requests"
"""The one kind of requests: every endpoint counts against the app's limit."""

WINDOW_SECONDS = 10.0
"""The allowance of a minute is spread over windows of this length."""
FIRST_REQUESTS = 150
"""Requests in a window before any answer has said more: below the 166 of the smallest plan."""

_APP = "app"
_SHORTEST_WAIT_SECONDS = 1.0
_SHARE = 0.9
_RESTART = "restart the scroll"


def paces(*, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """Nine tenths of the app's limit; uncounted, they only wait after a refusal."""
    burst = FIRST_REQUESTS // 10
    return {REQUESTS: (Pace(_APP, FIRST_REQUESTS if counted else None, WINDOW_SECONDS, burst=burst, share=_SHARE),)}


def announced(headers: Mapping[str, str]) -> Iterator[Announced]:
    """What the app may send in a window."""
    limit = headers.get("x-ratelimit-limit", "")
    if limit.isdigit() and int(limit):
        yield Announced(_APP, int(limit))


def classify(response: httpx.Response) -> Verdict | None:
    """Intercom's own verdicts; None leaves an answer to the general rule."""
    if response.status_code == 429:
        return Verdict(Outcome.AGAIN, _until_reset(response.headers), _APP)
    if response.status_code == 500 and response.request.url.path.endswith("/companies/scroll"):
        # Asking again for the same part of a broken scroll never helps.
        return Verdict(Outcome.REFUSED) if _RESTART in response.text else None
    return None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    reset = headers.get("x-ratelimit-reset", "")
    if not reset.isdigit():
        return None
    return max(_SHORTEST_WAIT_SECONDS, int(reset) - answered_at(headers, WallClock()).timestamp())
