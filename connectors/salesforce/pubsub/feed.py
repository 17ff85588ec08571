"""Change Data Capture over the Pub/Sub API: which records changed, told within a second.

What a change event carries is not used: it holds only changed fields, and gaps hold none. It names records, which are
then read as a walk would read them. Nothing depends on it: what the feed misses, the next walk brings.
"""

import io
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import fastavro
import grpc
import orjson
import structlog

from connectors.salesforce.oauth import SalesforceToken
from connectors.salesforce.pubsub.messages import (
    CUSTOM,
    GET_SCHEMA,
    LATEST,
    SUBSCRIBE,
    FetchRequest,
    FetchResponse,
    SchemaInfo,
    SchemaRequest,
)
from vitals.errors import FatalError, RetriableError

log = structlog.get_logger()

EVENTS_A_REQUEST = 100
WAITING_MAX = 10_000
"""Ids that wait to be read; beyond it a walk is quicker."""
_FIRST_PAUSE_SECONDS = 1.0
_LAST_PAUSE_SECONDS = 60.0
_SCHEMA_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of records, and the replay id (hexadecimal) behind the events that named them."""

    ids: tuple[str, ...]
    replay_id: str


class ChangeFeed:
    """The changes of one object, followed by a thread that `follow` starts."""

    def __init__(self, address: str, token: SalesforceToken, object_name: str, *, secure: bool = True) -> None:
        self._address, self._secure = address, secure
        self._token = token
        self._object_name = object_name
        self._waiting: deque[tuple[tuple[str, ...], bytes]] = deque()
        self._count = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._call: Any = None
        self._schemas: dict[str, Any] = {}
        self._replay_id = b""

    def follow(self, replay_id: str | None) -> None:
        """Starts following behind a replay id, or from now on; once."""
        if self._thread is None:
            self._replay_id = bytes.fromhex(replay_id or "")
            self._thread = threading.Thread(target=self._run, name=f"changes of {self._object_name}", daemon=True)
            self._thread.start()

    def take(self, most: int) -> Changes | None:
        """Up to `most` ids of records that changed, at least those of one event; None where nothing waits."""
        ids: dict[str, None] = {}
        replay_id = None
        with self._lock:
            while self._waiting and (not ids or len(ids) + len(self._waiting[0][0]) <= most):
                named, replay_id = self._waiting.popleft()
                self._count -= len(named)
                ids.update(dict.fromkeys(named))
        return None if replay_id is None else Changes(tuple(ids), replay_id.hex())

    def close(self) -> None:
        """Ends the subscription."""
        self._closed.set()
        if self._call is not None:
            self._call.cancel()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._closed.is_set():
            header = ""
            try:
                header = self._token.authorization.header()
                for _ in self._subscribed(header):
                    pause = _FIRST_PAUSE_SECONDS
            except grpc.RpcError as error:
                if self._closed.is_set():
                    return
                self._recover(error, header)
            except (RetriableError, FatalError, ValueError, KeyError, EOFError) as error:
                log.warning("salesforce_changes_broken", object=self._object_name, error=str(error))
            self._closed.wait(pause)
            pause = min(pause * 2, _LAST_PAUSE_SECONDS)

    def _recover(self, error: grpc.RpcError, header: str) -> None:
        code = error.code()
        log.warning("salesforce_changes_broken", object=self._object_name, code=code.name, error=error.details())
        if code is grpc.StatusCode.UNAUTHENTICATED:
            try:
                self._token.authorization.renew(header)
            except (RetriableError, FatalError) as refused:
                log.warning("salesforce_changes_broken", object=self._object_name, error=str(refused))
        elif code is grpc.StatusCode.INVALID_ARGUMENT:
            # The replay id is older than what is kept. A walk brings what lies between.
            self._replay_id = b""

    def _subscribed(self, header: str) -> Iterator[None]:
        """Follows until the call ends; yields after each answer."""
        credentials = grpc.ssl_channel_credentials()
        opened = (
            grpc.secure_channel(self._address, credentials) if self._secure else grpc.insecure_channel(self._address)
        )
        with opened as channel:
            metadata = (
                ("accesstoken", header.removeprefix("Bearer ")),
                ("instanceurl", self._token.instance_url),
                ("tenantid", self._token.organization_id),
            )
            more: SimpleQueue[Any] = SimpleQueue()
            subscribe = channel.stream_stream(
                SUBSCRIBE,
                request_serializer=FetchRequest.SerializeToString,
                response_deserializer=FetchResponse.FromString,
            )
            replay: dict[str, Any] = {"replay_preset": LATEST}
            if self._replay_id:
                replay = {"replay_preset": CUSTOM, "replay_id": self._replay_id}
            topic = f"/data/{self._object_name}ChangeEvent"
            more.put(FetchRequest(topic_name=topic, num_requested=EVENTS_A_REQUEST, **replay))
            self._call = subscribe(iter(more.get, None), metadata=metadata)
            try:
                for answer in self._call:
                    for event in answer.events:
                        self._hold(self._named(channel, metadata, event.event), event.replay_id)
                    if not answer.events and answer.latest_replay_id:
                        self._hold((), answer.latest_replay_id)
                    if answer.pending_num_requested <= 0:
                        more.put(FetchRequest(topic_name=topic, num_requested=EVENTS_A_REQUEST))
                    yield
            finally:
                self._call.cancel()
                more.put(None)

    def _hold(self, ids: tuple[str, ...], replay_id: bytes) -> None:
        self._replay_id = replay_id
        with self._lock:
            if self._count + len(ids) > WAITING_MAX:
                log.warning("salesforce_changes_left_to_the_walk", object=self._object_name, waiting=self._count)
                self._waiting.clear()
                self._count, ids = 0, ()
            if not ids and self._waiting:
                return  # the replay id of a keep-alive, behind changes that still wait
            self._waiting.append((ids, replay_id))
            self._count += len(ids)

    def _named(self, channel: grpc.Channel, metadata: Any, event: Any) -> tuple[str, ...]:
        """Ids of the records that a change event is about. A wildcard such as `001*` is left to the next walk."""
        if event.schema_id not in self._schemas:
            get_schema = channel.unary_unary(
                GET_SCHEMA,
                request_serializer=SchemaRequest.SerializeToString,
                response_deserializer=SchemaInfo.FromString,
            )
            told = get_schema(SchemaRequest(schema_id=event.schema_id), metadata=metadata, timeout=_SCHEMA_SECONDS)
            self._schemas[event.schema_id] = fastavro.parse_schema(orjson.loads(told.schema_json))
        change: Any = fastavro.schemaless_reader(io.BytesIO(event.payload), self._schemas[event.schema_id], None)
        return tuple(name for name in change["ChangeEventHeader"]["recordIds"] if not name.endswith("*"))
