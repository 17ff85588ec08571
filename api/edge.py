"""The outermost layer: security headers, request metrics, refusal of foreign pages, and the 500 of last resort."""

import re
import time
import traceback

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.identity import same_origin
from api.problems import MEDIA_TYPE, UNEXPECTED, problem_body

log = structlog.get_logger()

REQUESTS = Counter("vitals_http_requests_total", "Requests by route template.", ["method", "route", "status"])
SECONDS = Histogram(
    "vitals_http_request_seconds",
    "Duration of requests by route template.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

LARGEST_BODY = 64 * 1024
FOREIGN = "Requests that change something must come from this server's own page."

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"[a-z0-9.-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?", re.ASCII)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def content_security_policy(host: str) -> str:
    """Everything from this origin only, and nothing inline. Older browsers need the websocket's origin spelt out."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host.lower()) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"manifest-src 'self'; connect-src 'self'{sockets}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class Edge:
    """ASGI application around the API."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on; websockets and the lifespan go through as they are."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(connection, MutableHeaders(raw=message["headers"]))
            await send(message)

        try:
            if scope["method"] not in _SAFE_METHODS and not same_origin(connection, self._public_url):
                await _problem(answer, 403, FOREIGN, scope)
            elif _is_too_long(connection):
                await _problem(answer, 413, f"A request's body has at most {LARGEST_BODY} bytes.", scope)
            else:
                await self._app(scope, receive, answer)
        except Exception:
            # As text: a traceback with the values of variables could hold a password.
            log.error("request failed", method=scope["method"], path=scope["path"], traceback=traceback.format_exc())
            if not status:
                await _problem(answer, 500, UNEXPECTED, scope)
            elif status < 500:
                raise  # in the middle of an answer: the server closes the connection
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = route_template(scope)
            REQUESTS.labels(method, route, str(status)).inc()
            SECONDS.labels(method, route).observe(time.perf_counter() - started)

    def _add_headers(self, connection: HTTPConnection, headers: MutableHeaders) -> None:
        for name, value in _HEADERS.items():
            headers[name] = value
        headers["Content-Security-Policy"] = content_security_policy(connection.headers.get("host", ""))
        if connection.scope["path"].startswith("/v1/"):
            headers.setdefault("Cache-Control", "no-store")
        if self._public_url.startswith("https://"):
            headers["Strict-Transport-Security"] = "max-age=31536000"


def route_template(scope: Scope) -> str:
    """The template that a request matched, so that ids in paths do not make a time series each."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else "unmatched"


def _is_too_long(connection: HTTPConnection) -> bool:
    # A body without a length is counted while it is read, by FastAPI.
    length = connection.headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length) > LARGEST_BODY


async def _problem(send: Send, status: int, detail: str, scope: Scope) -> None:
    body = problem_body(status, detail, scope["path"])
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
