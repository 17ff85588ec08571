"""The door of the simulated Intercom: its limit by windows, its errors, the token, and the version of the API."""

import math
import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from connectors.intercom import credentials
from connectors.intercom.simulated_records import uuid_of
from connectors.simulation.gate import VendorFront, source_now
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation

REQUESTS = 1_666
"""Requests in a window of ten seconds: the usual 10,000 a minute, spread."""

_WINDOW_SECONDS = 10.0
_VERSION = re.compile(r"\d\.\d+|Preview|Unstable")


class IntercomFront(VendorFront):
    """The app's limit, spread over windows of ten seconds."""

    name = "intercom"

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation)
        self.window = RequestWindow(REQUESTS, _WINDOW_SECONDS, simulation.wall)

    def windows(self, _path: str) -> Iterable[RequestWindow]:
        """Every endpoint counts against the one limit."""
        return (self.window,)

    def throttled(self, request: Request, retry_after: float | None, _window: RequestWindow | None) -> Response:
        """429, and when the window ends in the usual header: there is no `Retry-After`."""
        message = f"Exceeded rate limit of {REQUESTS} in 10_seconds"
        answer = refusal(request, 429, "rate_limit_exceeded", message)
        if retry_after is not None:
            answer.headers["x-ratelimit-reset"] = str(source_now(request) + math.ceil(retry_after))
        return answer

    def unauthorized(self, request: Request) -> Response:
        """The token was withdrawn, or the app uninstalled."""
        return refusal(request, 401, "unauthorized", "Access Token Invalid")

    def headers(self, request: Request) -> dict[str, str]:
        """The limit, and the second at which its window ends."""
        return {
            "x-ratelimit-limit": str(self.window.count),
            "x-ratelimit-remaining": str(max(0, self.window.count - self.window.used)),
            "x-ratelimit-reset": str(source_now(request) + math.ceil(self.window.resets_in)),
        }


def refusal(request: Request, status: int, code: str, message: str) -> JSONResponse:
    """An `error.list`."""
    request_id = uuid_of(f"{request.url.path}:{source_now(request)}")
    errors = [{"code": code, "message": message}]
    return JSONResponse({"type": "error.list", "request_id": request_id, "errors": errors}, status)


class IntercomDoor:
    """ASGI middleware: the token, the version, and refused queries."""

    def __init__(self, app: Any, front: IntercomFront) -> None:
        self._app = app
        self._front = front

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        answer: Response | None = None
        if request.headers.get("authorization") != f"Bearer {credentials.ACCESS_TOKEN}":
            answer = self._front.unauthorized(request)
        elif not _VERSION.fullmatch(request.headers.get("intercom-version", "2.14")):
            answer = refusal(request, 400, "intercom_version_invalid", "The requested version could not be found")
        await (answer or self._app)(scope, receive, send)
