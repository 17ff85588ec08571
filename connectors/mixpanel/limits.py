"""Mixpanel's limits of exports, and what its refusals mean: they name the limit, and give no hint."""

import httpx

from connectors.http import Outcome, Verdict
from connectors.pace import Pace

EXPORTS = "exports"
"""The kind of request that is limited."""

_HOUR, _SECOND = "hour", "second"
_WAITS = (60.0, 600.0)


def paces(*, counted: bool) -> dict[str, tuple[Pace, ...]]:
    """60 exports an hour and 3 a second, for the whole project; uncounted, they only wait after a refusal."""
    return {
        EXPORTS: (
            Pace(_HOUR, 60 if counted else None, 3_600.0, burst=5, waits=_WAITS),
            Pace(_SECOND, 3 if counted else None, 1.0, waits=(1.0, 60.0)),
        )
    }


def classify(response: httpx.Response) -> Verdict | None:
    """Mixpanel's own verdicts; None leaves an answer to the general table."""
    if response.status_code == 429:
        return Verdict(Outcome.AGAIN, limit=_SECOND if "last second" in response.text else _HOUR)
    return Verdict(Outcome.FATAL) if response.status_code == 402 else None
