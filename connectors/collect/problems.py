"""What the collect process answers when it does not accept: problems (RFC 9457), counted by status."""

from typing import Any

import orjson
from fastapi.responses import Response
from prometheus_client import Counter

REQUESTS = Counter("vitals_collect_requests_total", "Requests by status.", ["status"])

RETRY_AFTER_SECONDS = 2

_TITLES = {
    400: "Invalid call",
    401: "Not authorized",
    403: "Refused",
    404: "Not found",
    405: "Wrong method",
    413: "Too large",
    503: "Try again",
}


def problem(
    status: int, detail: str, field: str | None = None, reason: str | None = None, *, challenge: str | None = None
) -> Response:
    """An `application/problem+json` answer. `errors` names the field and the reason; `challenge` is for a 401."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    if field is not None:
        body["errors"] = [{"field": field, "reason": reason}]
    headers = {}
    if challenge is not None:
        headers["WWW-Authenticate"] = challenge
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    REQUESTS.labels(status).inc()
    return Response(orjson.dumps(body), status, headers, "application/problem+json")
