"""The front door of every simulated vendor: source time in `Date`, rate limits, and the faults that any server has."""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.simulation.calendar import http_date
from connectors.simulation.faults import Fault
from connectors.simulation.limits import RequestWindow
from connectors.simulation.stage import Simulation

_BODY_FAULTS = ("truncate", "corrupt", "drop")


class VendorFront:
    """What differs between vendors at the door; a simulator overrides what its vendor has."""

    name: str
    token_path: str | None = None

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation

    def windows(self, _path: str) -> Iterable[RequestWindow]:
        """The rate limits that a request of this path counts against."""
        return ()

    def throttled(self, _request: Request, _retry_after: float | None, _window: RequestWindow | None) -> Response:
        """The vendor's answer above a limit; `window` is None for an ordered fault."""
        raise NotImplementedError

    def unauthorized(self, _request: Request) -> Response:
        """The vendor's 401."""
        raise NotImplementedError

    def headers(self, _request: Request) -> dict[str, str]:
        """Headers of every answer of this vendor."""
        return {}


def source_now(request: Request) -> int:
    """Source time of this request in epoch seconds: one instant for the whole answer, and the one in `Date`."""
    return int(request.scope["source_now"])


def base_url(request: Request) -> str:
    """Scheme, host and mount point under which the client reached this vendor, without a slash at the end."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def vendor_path(scope: MutableMapping[str, Any]) -> str:
    """The path below the vendor's mount point."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return (path.removeprefix(root) if root else path) or "/"


class VendorGate:
    """ASGI middleware around one vendor's simulator."""

    def __init__(self, app: ASGIApp, front: VendorFront) -> None:
        self._app = app
        self._front = front
        self._simulation = front.simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        now = self._simulation.clock.now_seconds()
        scope["source_now"] = now
        request = Request(scope, receive)

        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["date"] = http_date(now)
                for name, value in self._front.headers(request).items():
                    headers.setdefault(name, value)
            await send(message)

        path = vendor_path(scope)
        await self._wait(path)
        refusal = self._refusal(request, path)
        if refusal is not None:
            await refusal(scope, receive, send_dated)
            return
        fault = self._simulation.faults.take(self._front.name, path, *_BODY_FAULTS)
        await self._app(scope, receive, send_dated if fault is None else _spoiling(fault, send_dated))

    async def _wait(self, path: str) -> None:
        slow = self._simulation.faults.take(self._front.name, path, "slow")
        if slow is not None:
            await asyncio.sleep(slow.seconds)

    def _refusal(self, request: Request, path: str) -> Response | None:
        faults, name = self._simulation.faults, self._front.name
        if (fault := faults.take(name, path, "rate_limit")) is not None:
            return self._front.throttled(request, fault.retry_after, None)
        if (fault := faults.take(name, path, "server_error")) is not None:
            page = f"<html><body><h1>{fault.status} Service Unavailable</h1></body></html>"
            answer = Response(status_code=406) if fault.status == 406 else HTMLResponse(page, fault.status)
            if fault.retry_after is not None:
                answer.headers["retry-after"] = f"{fault.retry_after:g}"
            return answer
        if path != self._front.token_path and faults.take(name, path, "expire_token") is not None:
            self._simulation.tokens.expire(name)
            return self._front.unauthorized(request)
        for window in self._front.windows(path):
            # Counted in either case, so that the headers tell of use even where no limit is enforced.
            if (wait := window.take()) and self._simulation.rate_limits:
                return self._front.throttled(request, wait, window)
        return None


def _spoiling(fault: Fault, send: Send) -> Send:
    """A `send` that holds the whole answer back and passes on a damaged one."""
    start: list[Message] = []
    body = bytearray()

    async def hold(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body", False):
            return
        half = len(body) // 2
        if fault.kind == "drop":
            headers = MutableHeaders(scope=start[0])
            headers["content-length"] = str(len(body) + 1)
            await send(start[0])
            await send({"type": "http.response.body", "body": bytes(body[:half]), "more_body": True})
            raise ConnectionAbortedError("an ordered fault drops this connection")
        spoiled = (
            bytes(body[:half])
            if fault.kind == "truncate"
            else bytes(body[:half]) + b"\x00\xff{" + bytes(body[half + 3 :])
        )
        MutableHeaders(scope=start[0])["content-length"] = str(len(spoiled))
        await send(start[0])
        await send({"type": "http.response.body", "body": spoiled, "more_body": False})

    return hold
