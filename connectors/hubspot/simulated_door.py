"""The simulated HubSpot's door: its limits and how it writes refusals."""

import math
from collections.abc import Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.simulation.calendar import DAY
from connectors.simulation.gate import VendorFront, vendor_path
from connectors.simulation.identifiers import base62
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation

NAME = "hubspot"

_TEN_SECONDS, _DAILY, _SEARCHES = 190, 650_000, 5
_POLICIES = {"SECONDLY": "secondly", "TEN_SECONDLY_ROLLING": "ten_secondly_rolling", "DAILY": "daily"}


class HubSpotFront(VendorFront):
    """The limits of a private app, and that of all searches together."""

    name = NAME
    token_path = "/oauth/2026-03/token"  # noqa: S105 - a path

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self.burst = RequestWindow(_TEN_SECONDS, 10.0, simulation.wall)
        self.daily = RequestWindow(_DAILY, DAY, simulation.wall)
        self.searches = RequestWindow(_SEARCHES, 1.0, simulation.wall)

    def windows(self, path: str) -> Iterable[RequestWindow]:
        """Searches count in every limit, token calls in none."""
        if path.startswith("/oauth/"):
            return ()
        return (self.searches, self.burst, self.daily) if path.endswith("/search") else (self.burst, self.daily)

    def throttled(self, _request: Request, retry_after: float | None, window: RequestWindow | None) -> Response:
        """HubSpot names the policy; a hint comes with some answers only."""
        if window is self.daily:
            return limited("DAILY")
        if window is self.searches:
            return limited("SECONDLY")
        return limited("TEN_SECONDLY_ROLLING", retry_after)

    def unauthorized(self, _request: Request) -> Response:
        """The access token is expired or was withdrawn."""
        return problem(401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired.")

    def headers(self, request: Request) -> dict[str, str]:
        """What is left of the limits; searches do not tell."""
        path = vendor_path(request.scope)
        if path.endswith("/search") or path.startswith("/oauth/"):
            return {}
        return {
            "x-hubspot-ratelimit-max": str(self.burst.count),
            "x-hubspot-ratelimit-remaining": str(self.burst.count - self.burst.used),
            "x-hubspot-ratelimit-interval-milliseconds": "10000",
            "x-hubspot-ratelimit-daily": str(self.daily.count),
            "x-hubspot-ratelimit-daily-remaining": str(self.daily.count - self.daily.used),
        }


def problem(status: int, category: str, message: str, **more: Any) -> JSONResponse:
    """An error as HubSpot writes most of them."""
    correlation = f"{base62(message, 8).lower()}-0000-4993-9211-{base62(category, 12).lower()}"
    body = {"status": "error", "message": message, "correlationId": correlation, "category": category, **more}
    return JSONResponse(body, status)


def limited(policy: str, retry_after: float | None = None) -> JSONResponse:
    """A 429."""
    answer = problem(
        429,
        "RATE_LIMITS",
        f"You have reached your {_POLICIES[policy]} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
    )
    if retry_after is not None:
        answer.headers["retry-after"] = str(math.ceil(retry_after))
    return answer


def invalid(message: str) -> JSONResponse:
    """A request that HubSpot cannot read."""
    return problem(400, "VALIDATION_ERROR", message)


def json_of(body: Any, status: int = 200) -> Response:
    """An answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")
