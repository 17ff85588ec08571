"""Runs connector streams: fetch, map, settle, commit; one thread and one transactional id a stream."""

import random
import threading
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge

from connectors.contract import Page, Stream
from connectors.fates import COUNTS, SeenIds, map_page, new_counts, settle
from connectors.identities import IdentityIndex
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import FatalError, RetriableError
from vitals.events import account_id, user_pseudonym
from vitals.settings import Settings

log = structlog.get_logger()

EVENTS = Counter("vitals_connector_events_total", "Events by fate since this process started.", ["stream", "fate"])
PAGES = Counter("vitals_connector_pages_total", "Pages committed.", ["stream"])
FAILURES = Counter("vitals_connector_failures_total", "Fetches or commits that failed.", ["stream", "error"])
COMPLETE = Gauge("vitals_connector_complete_through_seconds", "Source time (epoch) of the last progress.", ["stream"])

IDENTITY_WAIT_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
PARKED_SECONDS = 60.0


class StreamRunner:
    """Drives one stream until it is told to stop. Every failure ends in the last committed state."""

    def __init__(
        self,
        stream: Stream,
        settings: Settings,
        serde: AvroSerde,
        clock: Clock,
        identities: IdentityIndex,
        stopping: threading.Event,
    ) -> None:
        self._stream, self._settings, self._serde, self._clock = stream, settings, serde, clock
        self._identities, self._stopping = identities, stopping
        self._failures = 0

    def run(self) -> None:
        """Runs until stopping. Passing faults back off with full jitter; a fatal one parks the stream and says so."""
        writer: StreamWriter | None = None
        while not self._stopping.is_set():
            try:
                if writer is None:
                    writer = self._open()
                    seen = SeenIds(self._stream.overlap, writer.state)
                page = self._fetched(writer)
                if page is None:
                    continue
                self._commit(writer, seen, page)
                self._failures = 0
                if not page.more:
                    self._stopping.wait(self._settings.poll_interval_seconds)
            except RetriableError as error:
                writer = None
                self._back_off(error, error.retry_after_seconds)
        self._stream.close()

    def _open(self) -> StreamWriter:
        stream = self._stream
        writer = StreamWriter(self._settings, self._serde, self._clock, stream.source, stream.name, stream.topics)
        writer.open()
        log.info("stream_open", stream=stream.name, position=writer.position, complete=str(writer.complete_through))
        return writer

    def _fetched(self, writer: StreamWriter) -> Page | None:
        """The next page, or None after a wait: a vendor's fault leaves the writer as it is."""
        try:
            return self._stream.fetch(writer.state)
        except RetriableError as error:
            self._back_off(error, error.retry_after_seconds)
        except FatalError as error:
            FAILURES.labels(self._stream.name, type(error).__name__).inc()
            log.error("stream_parked", stream=self._stream.name, error=str(error), again_in_seconds=PARKED_SECONDS)
            self._stopping.wait(PARKED_SECONDS)
        return None

    def _commit(self, writer: StreamWriter, seen: SeenIds, page: Page) -> None:
        outcome, unresolved, _ = map_page(self._stream, page, writer.state)
        resolve = self._identities.resolve
        unknown = [item.event for item in unresolved if resolve(item.event.account_ref) is None]
        if unknown and not self._stream.identity_source:
            # Nobody is called unknown before the identity source has spoken for that time: no verdict by race.
            verdict_time = max(event.event_time for event in unknown)
            if not self._identities.wait_complete(verdict_time, IDENTITY_WAIT_SECONDS, self._stopping.is_set):
                if self._stopping.is_set():
                    return
                log.warning("identity_source_behind", stream=self._stream.name, unknown=len(unknown))
        pseudonym_key = self._settings.pseudonym_key.get_secret_value().encode()
        own = {profile.identity for profile in outcome.profiles}
        settle(
            self._stream,
            outcome,
            unresolved,
            seen.ids,
            _with_own(resolve, own),
            lambda user: user_pseudonym(pseudonym_key, user),
            self._clock.now(),
        )
        seen.remember(outcome, writer.position + 1)
        writer.commit(
            outcome,
            new_counts(writer.state.get(COUNTS, {}), outcome),
            identity_source=self._stream.identity_source,
        )
        PAGES.labels(self._stream.name).inc()
        EVENTS.labels(self._stream.name, "published").inc(len(outcome.events))
        EVENTS.labels(self._stream.name, "set_aside").inc(len(outcome.set_aside))
        EVENTS.labels(self._stream.name, "fetched_again").inc(outcome.refetched)
        if writer.complete_through is not None:
            COMPLETE.labels(self._stream.name).set(writer.complete_through.timestamp())

    def _back_off(self, error: Exception, hint_seconds: float | None) -> None:
        self._failures += 1
        FAILURES.labels(self._stream.name, type(error).__name__).inc()
        ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2**self._failures)
        wait = hint_seconds if hint_seconds is not None else random.uniform(0, ceiling)  # noqa: S311 - jitter
        log.warning("stream_backs_off", stream=self._stream.name, error=str(error), wait_seconds=round(wait, 2))
        self._stopping.wait(wait)


def _with_own(resolve: Callable[[str | None], str | None], own: set[str]) -> Callable[[str | None], str | None]:
    """Also resolves the identities that the page itself brings, which the index learns only after the commit."""

    def resolved(identity: str | None) -> str | None:
        if identity in own and identity is not None:
            return account_id(identity)
        return resolve(identity)

    return resolved
