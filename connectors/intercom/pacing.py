"""The request rate of an app, which the vendor announces in every answer, and what its answers mean."""

import time
from collections.abc import Callable, Mapping

import httpx

from connectors.http import Outcome, Verdict, answered_at
from connectors.pace import Pace
from vitals.clock import WallClock

WINDOW_SECONDS = 10.0
"""The allowance of a minute is spread over windows of this length."""
FIRST_REQUESTS = 150
"""Requests in a window before any answer has said more: below the 166 of the smallest plan."""

_SHORTEST_WAIT_SECONDS = 1.0
_SHARE = 0.9
_RESTART = "restart the scroll"


class AnnouncedPace(Pace):
    """A pace that follows `X-RateLimit-Limit`: nine tenths of what the app may send in a window."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(FIRST_REQUESTS, WINDOW_SECONDS, _burst(FIRST_REQUESTS), monotonic)
        self.requests = FIRST_REQUESTS

    def heed(self, headers: Mapping[str, str]) -> None:
        """Takes over the limit of an answer; without the header, the last one stays."""
        limit = headers.get("x-ratelimit-limit", "")
        if not limit.isdigit() or (requests := max(2, int(int(limit) * _SHARE))) == self.requests:
            return
        with self._lock:
            self.requests = requests
            self._burst = _burst(requests)
            self._rate = (requests - self._burst) / self._seconds
            self._tokens = min(self._tokens, float(self._burst))


def _burst(requests: int) -> int:
    return max(1, requests // 10)


def classify(response: httpx.Response) -> Verdict | None:
    """Intercom's own verdicts; None leaves an answer to the general rule."""
    if response.status_code == 429:
        return Verdict(Outcome.AGAIN, _until_reset(response.headers))
    if response.status_code == 500 and response.request.url.path.endswith("/companies/scroll"):
        # Asking again for the same part of a broken scroll never helps.
        return Verdict(Outcome.REFUSED) if _RESTART in response.text else None
    return None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    reset = headers.get("x-ratelimit-reset", "")
    if not reset.isdigit():
        return None
    return max(_SHORTEST_WAIT_SECONDS, int(reset) - answered_at(headers, WallClock()).timestamp())
