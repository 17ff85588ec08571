"""The websocket `/v1/live`: live scores as a snapshot and conflated deltas, resumable after a drop."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import orjson
import psycopg
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from prometheus_client import Counter, Gauge
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.auth.identity import COOKIE, Identity, identify, same_origin
from api.conflation import ConflatingBuffer
from api.context import ApiContext, context_of
from api.fanout import Fanout
from vitals.clock import Clock

log = structlog.get_logger()
router = APIRouter()

FLUSH_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
AUTHENTICATE_SECONDS = 5.0
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is given up."""

UNAUTHENTICATED = 4401
BAD_MESSAGE = 4400
TOO_SLOW = 4408
TRY_AGAIN_LATER = 1013

CLIENTS = Gauge("vitals_ws_clients", "Websocket clients that are connected.")
MESSAGES = Counter("vitals_ws_messages_total", "Messages sent to websocket clients.", ["type"])


M = TypeVar("M", bound=BaseModel)


class Authenticate(BaseModel):
    """First message of a client without a session cookie."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["auth"]
    access_token: str = Field(max_length=4096)


class Subscribe(BaseModel):
    """What a client wants to follow. A later one replaces it."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["subscribe"]
    channel: Literal["portfolio", "account"]
    account_id: UUID | None = None
    resume: str | None = Field(None, max_length=4096)


class ClientMessageError(Exception):
    """A client sent something that is not a message of the protocol."""


@router.websocket("/v1/live")
async def live(websocket: WebSocket) -> None:
    """Serves one client until it goes, its session expires or it takes nothing any more."""
    context = context_of(websocket)
    await websocket.accept()
    with CLIENTS.track_inprogress(), suppress(WebSocketDisconnect):
        try:
            identity = await _cookie_identity(websocket, context) or await _message_identity(websocket, context)
            if identity is None:
                await websocket.close(UNAUTHENTICATED, "sign in first")
                return
            await LiveClient(websocket, context.fanout, context.clock, identity.expires_at).serve()
        except ClientMessageError as error:
            await websocket.close(BAD_MESSAGE, str(error)[:120])
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("PostgreSQL does not answer", error=str(error))
            await websocket.close(TRY_AGAIN_LATER, "the database does not answer")


async def _cookie_identity(websocket: WebSocket, context: ApiContext) -> Identity | None:
    session = websocket.cookies.get(COOKIE)
    # Browsers send the cookie with whatever page opens the socket; only our own page may use it.
    if session is None or not same_origin(websocket, context.settings.public_url):
        return None
    return await identify(context, session, "session")


async def _message_identity(websocket: WebSocket, context: ApiContext) -> Identity | None:
    try:
        async with asyncio.timeout(AUTHENTICATE_SECONDS):
            message = await _receive(websocket, Authenticate)
    except (TimeoutError, ClientMessageError):
        return None
    return await identify(context, message.access_token, "access")


class LiveClient:
    """One subscribed client: the fan-out tells it what changed, `serve` sends it at the client's own pace."""

    def __init__(self, websocket: WebSocket, fanout: Fanout, clock: Clock, expires_at: datetime) -> None:
        self._websocket = websocket
        self._fanout = fanout
        self._clock = clock
        self._expires_at = expires_at
        self._buffer: ConflatingBuffer | None = None
        self._account_id: str | None = None
        self._looking_up = False
        self._degraded: str | None = None
        self._news = asyncio.Event()
        self._sequence = 0

    async def serve(self) -> None:
        """Reads and writes until either ends.

        Raises:
            ClientMessageError: the client broke the protocol.
            WebSocketDisconnect: it is gone.
        """
        reading = asyncio.create_task(self._read(), name="live-read")
        writing = asyncio.create_task(self._write(), name="live-write")
        try:
            done, _ = await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._fanout.unsubscribe(self)
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    def changed(self, accounts: set[str]) -> None:
        """From the fan-out: these accounts have newer scores."""
        if self._buffer is not None:
            self._buffer.changed(accounts)
            self._wake()

    def needs_snapshot(self) -> None:
        """From the fan-out: what the client knows may be of another epoch."""
        self._degraded = None
        if self._buffer is not None:
            self._buffer.needs_snapshot()
            self._wake()

    def degraded(self, reason: str) -> None:
        """From the fan-out: live scores stand still."""
        self._degraded = reason
        self._wake()

    def _wake(self) -> None:
        if not self._looking_up and (self._buffer or self._degraded is not None):
            self._news.set()

    async def _read(self) -> None:
        while True:
            await self._subscribe(await _receive(self._websocket, Subscribe))

    async def _subscribe(self, wanted: Subscribe) -> None:
        if (wanted.channel == "account") != (wanted.account_id is not None):
            raise ClientMessageError("account_id belongs to channel account, and to no other")
        self._account_id = None if wanted.account_id is None else str(wanted.account_id)
        self._buffer = buffer = ConflatingBuffer(only=self._account_id)
        # The fan-out comes first, so that what changes during the look-up is not missed as well. Nothing is sent before
        # the look-up is done: a resume token given out then would claim that its deltas were told.
        self._looking_up = True
        self._fanout.subscribe(self)
        missed = await self._fanout.missed(wanted.resume) if wanted.resume is not None else None
        self._looking_up = False
        if missed is None:
            buffer.needs_snapshot()
        else:
            buffer.changed(missed)
            buffer.needs_answer()
        self._degraded = self._fanout.reason
        self._wake()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        next_flush, next_heartbeat = loop.time(), loop.time() + HEARTBEAT_SECONDS
        while True:
            session_left = (self._expires_at - self._clock.now()).total_seconds()
            if session_left <= 0:
                await self._websocket.close(UNAUTHENTICATED, "the session has expired")
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(next_heartbeat - loop.time(), session_left))):
                    await self._news.wait()
                    await asyncio.sleep(next_flush - loop.time())
            if self._news.is_set() and loop.time() >= next_flush:
                self._news.clear()
                next_flush = loop.time() + FLUSH_SECONDS
                await self._flush()
            if loop.time() >= next_heartbeat:
                next_heartbeat += HEARTBEAT_SECONDS
                await self._send({"type": "heartbeat", "sequence": self._sequence, "receipt": self._receipt()})

    async def _flush(self) -> None:
        if self._degraded is not None:
            reason, self._degraded = self._degraded, None
            await self._send({"type": "degraded", "detail": reason})
        buffer = self._buffer
        if self._looking_up or not buffer:
            return
        # Taken and put together without waiting in between: the token says what the items hold.
        pending = buffer.take()
        wanted = None if pending.snapshot else pending.accounts
        if pending.snapshot and self._account_id is not None:
            wanted = (self._account_id,)
        message: dict[str, Any] = {"type": "snapshot" if pending.snapshot else "delta"}
        if not pending.snapshot:
            self._sequence += 1
            message["sequence"] = self._sequence
        message["items"] = [orjson.Fragment(item) for item in self._fanout.portfolio.encoded(wanted)]
        message["resume"] = self._fanout.token()
        message["receipt"] = self._receipt()
        await self._send(message)

    def _receipt(self) -> dict[str, Any]:
        return self._fanout.receipt().model_dump(mode="json")

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._websocket.send_text(orjson.dumps(message).decode())
        except TimeoutError:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._websocket.close(TOO_SLOW, "took nothing for too long")
            raise WebSocketDisconnect(TOO_SLOW) from None
        MESSAGES.labels(message["type"]).inc()


async def _receive(websocket: WebSocket, kind: type[M]) -> M:
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if text is None:
        raise ClientMessageError("messages are text: JSON objects")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ClientMessageError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
