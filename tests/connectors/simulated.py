"""Runs a connector's streams against the simulators in process: real HTTP messages, the runner's own pure parts."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from connectors.conformance import Conformance
from connectors.contract import Delivery, Json, MappedEvent, Page, Profile, RawObject, Stream
from connectors.drift import Drift, note
from connectors.fates import COMPLETE, SeenIds, SetAside, map_page, mapped_id, settle
from connectors.identities import IdentityIndex
from connectors.identity.claims import Claim
from connectors.stream_state import merge_updates
from connectors.webhooks.brought import brought_by
from vitals.discovery import modules_named
from vitals.errors import RetriableError
from vitals.events import Event

SIMULATOR_URL = "http://simulator"


@cache
def conformance() -> Mapping[str, Conformance]:
    """What the contract tests must know of each connector that has a simulator."""
    modules = modules_named("conformance", ("connectors",))
    return {module.__name__.split(".")[1]: module.CONFORMANCE for module in modules if hasattr(module, "CONFORMANCE")}


def set_environment(patch: pytest.MonkeyPatch) -> None:
    """Every connector's settings for tests: small windows, and what is off by default switched on."""
    for told in conformance().values():
        for name, value in told.environment.items():
            patch.setenv(name, value)


_INGESTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_PAGES_MAX = 10_000


class ManualSeconds:
    """A monotonic clock that goes on by what is slept."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def most_in_window(times: Iterable[float], seconds: float) -> int:
    """The most of these times that any half-open window of that length holds."""
    ordered, first, most = sorted(times), 0, 0
    for number, at in enumerate(ordered):
        # A millionth less: a sum of waits differs from the window in its last digits.
        while ordered[first] <= at - seconds + 1e-6:
            first += 1
        most = max(most, number - first + 1)
    return most


class InProcess(httpx.BaseTransport):
    """A synchronous transport into an ASGI application, with every request kept. Threads take turns."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()
        self._turn = threading.Lock()
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._turn:
            self.requests.append(request)
            return self._loop.run_until_complete(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        body = b"".join([chunk async for chunk in response.stream])
        promised = response.headers.get("content-length")
        if promised is not None and len(body) < int(promised):
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))

    def finish(self) -> None:
        """Closes the loop; `close` is called once for each client that shares this transport."""
        self._loop.close()


@dataclass
class Followed:
    """One stream, its durable state, and what it has brought so far, exactly as the runner would have written it."""

    stream: Stream
    state: dict[str, Json] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    objects: list[RawObject] = field(default_factory=list)
    mapped: list[MappedEvent] = field(default_factory=list)
    promises: list[datetime | None] = field(default_factory=list)
    drifted: list[Drift] = field(default_factory=list)
    retries: int = 0
    pages: int = 0
    unreadable: list[str] = field(default_factory=list)
    seen: SeenIds | None = None
    index: IdentityIndex = field(default_factory=lambda: IdentityIndex(has_identity_source=False))
    """Without an identity source, so that every account of the CRM is known."""

    def page(self) -> bool:
        """One transaction; whether the stream has more at once."""
        fetched = self.stream.fetch(dict(self.state))
        self._commit(fetched)
        self.promises.append(fetched.complete_through)
        return fetched.more

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """One transaction of what webhooks brought."""
        page = brought_by(
            self.stream, deliveries, dict(self.state), lambda _delivery, reason: self.unreadable.append(reason)
        )
        self._commit(page, early=True)

    def _commit(self, fetched: Page, *, early: bool = False) -> None:
        self.seen = seen = self.seen or SeenIds(self.stream.overlap, self.state)
        outcome, unresolved, _ = map_page(self.stream, fetched, self.state)
        self.drifted.extend(note(fetched.objects, self.state, outcome.updates, _INGESTED_AT))
        before = set(seen.ids)
        resolve = self.index.with_page(outcome).resolve
        settle(self.stream, outcome, unresolved, seen.ids, resolve, str, _INGESTED_AT)
        self.index.learn(outcome)
        self.claims.extend(outcome.claims)
        self.mapped.extend(item.event for item in unresolved)
        assert before <= seen.ids
        seen.remember(outcome, self.pages, early=early)
        merge_updates(self.state, outcome.updates)
        self.pages += 1
        self.events.extend(outcome.events)
        self.profiles.extend(outcome.profiles)
        self.set_aside.extend(outcome.set_aside)
        self.objects.extend(fetched.objects)
        if fetched.complete_through is not None:
            self.state[COMPLETE] = fetched.complete_through.isoformat()

    def catch_up(self, patience: int = 50) -> "Followed":
        """Pages until the vendor has no more; a retriable fault is tried again at once."""
        for _ in range(_PAGES_MAX):
            try:
                if not self.page():
                    return self
            except RetriableError:
                self.retries += 1
                assert self.retries <= patience, "the fault does not pass"
        raise AssertionError("the stream never catches up")

    def mapped_by_id(self) -> dict[str, MappedEvent]:
        """Each event once, as it was mapped first."""
        found: dict[str, MappedEvent] = {}
        for event in self.mapped:
            found.setdefault(mapped_id(self.stream.source, event), event)
        return found

    def restart(self, stream: Stream) -> None:
        """Goes on as a new process: nothing but the durable state survives."""
        self.stream.close()
        self.stream, self.seen = stream, None


def followed_together(streams: Mapping[str, Stream], index: IdentityIndex | None = None) -> dict[str, Followed]:
    """A connector's streams with one index: what one of them claims tells the accounts of the others' events."""
    shared = index or IdentityIndex(has_identity_source=False)
    return {name: Followed(stream, index=shared) for name, stream in streams.items()}


def by_id(events: Iterable[Event]) -> dict[str, dict[str, Any]]:
    """What the rollup makes of events: one for each id, the first."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        found.setdefault(event.event_id, event.record())
    return found


def count(events: Iterable[Any], keep: Callable[[Any], bool] = lambda _event: True) -> dict[str, int]:
    """How many events of each kind."""
    counts: dict[str, int] = {}
    for event in events:
        if keep(event):
            counts[event.kind] = counts.get(event.kind, 0) + 1
    return counts
