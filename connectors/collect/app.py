"""The HTTP side of collect: Segment's calls in, 200 after the commit, problems (RFC 9457) for what is wrong."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from connectors.collect.calls import KINDS, LARGEST_CALL_BYTES, InvalidCallError, dead_letter, read_call
from connectors.collect.committer import CollectStream
from connectors.collect.connector import NAME
from connectors.collect.inbox import Inbox, Received, Submission
from connectors.collect.problems import REQUESTS, problem
from connectors.fates import SetAside, mapped_id
from connectors.webhooks.endpoint import WebhookEndpoint
from vitals.errors import RetriableError

LARGEST_BATCH_BYTES = 500 * 1024
ANSWER_SECONDS = 8.0

SUCCESS = b'{"success":true}'
CHALLENGE = 'Basic realm="write key"'


class _RefusedError(Exception):
    """An answer other than success: its status, what is wrong, and with which field."""

    def __init__(self, status: int, detail: str, field: str | None = None, reason: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.field, self.reason = status, detail, field, reason


class Endpoints:
    """The endpoints of one stream."""

    def __init__(self, inbox: Inbox, stream: CollectStream, write_key: str) -> None:
        self._inbox, self._stream = inbox, stream
        self._write_key = write_key.encode()

    async def batch(self, request: Request) -> Response:
        """`POST /v1/batch`: invalid items are set aside, the others taken; 200 unless the batch itself is none."""
        body, size = await self._body(request, LARGEST_BATCH_BYTES)
        items = body.get("batch")
        if not isinstance(items, list) or not items:
            raise InvalidCallError("batch", "must be a list of one call or more")
        if not isinstance(body.get("context") or {}, dict):
            raise InvalidCallError("context", "must be a JSON object")
        calls: list[Received] = []
        invalid: list[SetAside] = []

        def read(submission: Submission) -> None:
            for item in items:
                try:
                    calls.append(self._received(None, item, submission, body))
                except InvalidCallError as error:
                    invalid.append(dead_letter(item, error))
            submission.calls, submission.invalid = calls, invalid

        return await self._settled(size, read)

    def single(self, call_type: str) -> Callable[[Request], Awaitable[Response]]:
        """`POST /v1/<call type>`: an invalid call is refused with 400."""

        async def endpoint(request: Request) -> Response:
            body, size = await self._body(request, LARGEST_CALL_BYTES)

            def read(submission: Submission) -> None:
                submission.calls = [self._received(call_type, body, submission, {})]

            return await self._settled(size, read)

        return endpoint

    def _received(
        self, call_type: str | None, value: Any, submission: Submission, shared: Mapping[str, Any]
    ) -> Received:
        """A valid call. It is mapped without the stream's state, which decides nothing but the company."""
        raw = read_call(call_type, value, submission.received_at, shared, lambda: str(uuid4()))
        return Received(raw, mapped_id(NAME, self._stream.map(raw, {}).events[0]))

    async def _settled(self, size: int, read: Callable[[Submission], None]) -> Response:
        """Admits, reads, waits for the commit."""
        try:
            submission = self._inbox.admit(size)
        except RetriableError as error:
            raise _RefusedError(503, str(error)) from error
        try:
            read(submission)
            self._inbox.put(submission)
            await asyncio.wait_for(asyncio.wrap_future(submission.settled), ANSWER_SECONDS)
        except TimeoutError as error:
            raise _RefusedError(
                503, f"Not committed within {ANSWER_SECONDS:.0f} seconds; send it again with the same messageId."
            ) from error
        finally:
            if not submission.settled.done() or submission.settled.cancelled():
                submission.settled.cancel()
                self._inbox.leave(submission)
        REQUESTS.labels(200).inc()
        return Response(SUCCESS, media_type="application/json")

    async def _body(self, request: Request, most_bytes: int) -> tuple[dict[str, Any], int]:
        """The parsed body of an authorised request, and its size in bytes."""
        header = request.headers.get("authorization")
        if header is not None and not self._is_key(_user_of(header)):
            raise _RefusedError(401, "The user name of the Basic authorization is not this installation's write key.")
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > most_bytes:
                raise InvalidCallError("body", f"is larger than {most_bytes} bytes")
        try:
            body = orjson.loads(content)
            orjson.dumps(body)  # Nested deeper than can be written again.
        except orjson.JSONDecodeError as error:
            raise InvalidCallError("body", f"is not JSON: {error}") from error
        except orjson.JSONEncodeError as error:
            raise InvalidCallError("body", "is nested too deeply") from error
        if not isinstance(body, dict):
            raise InvalidCallError("body", "must be a JSON object")
        if header is None and not self._is_key(body.get("writeKey")):
            raise _RefusedError(
                401, "Send the write key as the user name of a Basic authorization, or as writeKey in the body."
            )
        return body, len(content)

    def _is_key(self, given: object) -> bool:
        """Compares in constant time."""
        return isinstance(given, str) and secrets.compare_digest(given.encode(), self._write_key)


def _user_of(header: str) -> str | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return None


def create_app(inbox: Inbox, stream: CollectStream, write_key: str, webhooks: WebhookEndpoint | None = None) -> FastAPI:
    """The ASGI application of `vitals collect`: Segment's calls, and vendors' webhooks where any are taken."""
    app = FastAPI(title="Vitals collect", docs_url=None, redoc_url=None, openapi_url=None)
    endpoints = Endpoints(inbox, stream, write_key)
    for call_type in KINDS:
        app.add_route(f"/v1/{call_type}", endpoints.single(call_type), methods=["POST"])
    app.add_route("/v1/batch", endpoints.batch, methods=["POST"])
    if webhooks is not None:
        app.add_route("/v1/webhooks/{source}", webhooks.receive, methods=["POST"])
        app.add_route("/v1/webhooks/{source}", webhooks.looked_at, methods=["HEAD"])

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, _RefusedError)
        challenge = CHALLENGE if error.status == 401 else None
        return problem(error.status, error.detail, error.field, error.reason, challenge=challenge)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, InvalidCallError)
        return problem(400, f"{error}.", error.field, error.reason)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        calls = ", ".join(f"/v1/{name}" for name in (*KINDS, "batch", "webhooks/<source>"))
        return problem(error.status_code, f"{request.method} {request.url.path} is none of POST {calls}.")

    async def gone(_request: Request, _error: Exception) -> Response:
        return problem(400, "The body ended early.")

    app.add_exception_handler(_RefusedError, refused)
    app.add_exception_handler(InvalidCallError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, gone)
    return app
