"""Runs connector streams: fetch, map, settle, commit; one thread and one transactional id a stream.

Between the polls of a vendor that has nothing new, a stream takes what its source's webhooks brought.
"""

import random
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from connectors import drift
from connectors.contract import Delivery, Page, Stream
from connectors.fates import COUNTS, SeenIds, SetAside, Unresolved, map_page, new_counts, settle
from connectors.identities import BEGINNING, IdentityIndex
from connectors.identity.resolution import Identities
from connectors.quarantine.redrive import Redriver
from connectors.webhooks.brought import brought_by
from connectors.webhooks.intake import Batch, DeliveryIntake
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import FatalError, RetriableError
from vitals.events import user_pseudonym
from vitals.settings import Settings

log = structlog.get_logger()

EVENTS = Counter("vitals_connector_events_total", "Events by fate since this process started.", ["stream", "fate"])
PAGES = Counter("vitals_connector_pages_total", "Pages committed.", ["stream"])
FAILURES = Counter("vitals_connector_failures_total", "Fetches or commits that failed.", ["stream", "error"])
DELIVERIES = Counter("vitals_connector_deliveries_total", "Webhook deliveries taken.", ["stream"])
COMPLETE = Gauge("vitals_connector_complete_through_seconds", "Source time (epoch) of the last progress.", ["stream"])

IDENTITY_WAIT_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 60.0
PARKED_SECONDS = 60.0
DELIVERY_WAIT_SECONDS = 0.25
"""Longest wait for deliveries at a time; one that comes meanwhile ends it."""


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
        self._commits, self._fetches = _Attempts(stream.name), _Attempts(stream.name)
        self._deliveries = _Attempts(stream.name, parked="deliveries_parked", backs_off="deliveries_back_off")
        self._redriver = Redriver(settings, serde, clock, identities)
        self._takes_webhooks = type(stream).received is not Stream.received

    def run(self) -> None:
        """Runs until stopping. Passing faults back off with full jitter; a fatal one parks the stream and says so."""
        run: _Run | None = None
        if not self._identities.wait_read(IDENTITY_WAIT_SECONDS, self._stopping.is_set):
            log.warning("identities_unread", stream=self._stream.name)
        while not self._stopping.is_set():
            try:
                if run is None:
                    run = self._open()
                if self._redriver.turn(run.writer):
                    continue
                rest = self._turn(run)
                self._commits.succeeded()
                self._rest(run, rest)
            except RetriableError as error:
                if run is not None:
                    run.close()
                run = None
                self._stopping.wait(self._commits.failed(error))
        if run is not None:
            run.close()
        self._stream.close()

    def _open(self) -> "_Run":
        stream = self._stream
        writer = StreamWriter(self._settings, self._serde, self._clock, stream.source, stream.name, stream.topics)
        writer.open()
        log.info("stream_open", stream=stream.name, position=writer.position, complete=str(writer.complete_through))
        intake = None
        if self._takes_webhooks:
            intake = DeliveryIntake(self._settings, self._serde, stream.source, stream.name, writer.state)
        return _Run(writer, SeenIds(stream.overlap, writer.state), intake)

    def _turn(self, run: "_Run") -> float:
        """Fetches and commits one page; seconds to rest after it. A vendor's fault leaves everything as it is."""
        try:
            page = self._stream.fetch(run.writer.state)
        except (RetriableError, FatalError) as error:
            return self._fetches.failed(error)
        self._fetches.succeeded()
        if self._commit(run, page):
            run.caught_up = not page.more
        return 0.0 if page.more else max(self._settings.poll_interval_seconds, self._stream.ready_in())

    def _rest(self, run: "_Run", seconds: float) -> None:
        """Waits, and takes deliveries meanwhile.

        They wait while a walk is under way (the first load is one): before its end nobody knows what it will bring.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            if run.intake is None or not run.caught_up:
                self._stopping.wait(left)
            elif (wait := self._deliveries.again_in()) > 0:
                self._stopping.wait(min(left, wait))
            else:
                batch = run.intake.batch(min(left, DELIVERY_WAIT_SECONDS))
                if batch is not None:
                    self._take(run, run.intake, batch)

    def _take(self, run: "_Run", intake: DeliveryIntake, batch: Batch) -> None:
        """Maps and commits one batch of deliveries, each that means nothing to the stream as a dead letter."""
        refused: list[SetAside] = list(batch.unreadable)

        def unreadable(delivery: Delivery, reason: str) -> None:
            refused.append(intake.dead_letter(delivery, reason))

        try:
            page = brought_by(self._stream, batch.deliveries, run.writer.state, unreadable)
        except (RetriableError, FatalError) as error:
            # The polls go on, and bring what the deliveries would have brought.
            self._deliveries.failed(error)
            return
        self._deliveries.succeeded()
        page = Page(page.objects, {**page.state, **batch.updates}, page.complete_through, more=False)
        if self._commit(run, page, early=True, refused=refused):
            intake.taken()
            DELIVERIES.labels(self._stream.name).inc(len(batch.deliveries))

    def _commit(self, run: "_Run", page: Page, *, early: bool = False, refused: Iterable[SetAside] = ()) -> bool:
        """Commits a page; False where stopping came before."""
        writer = run.writer
        outcome, unresolved, _ = map_page(self._stream, page, writer.state)
        outcome.set_aside.extend(refused)
        drifted = drift.note(page.objects, writer.state, outcome.updates, self._clock.now())
        identities = self._identities.with_page(outcome)
        if not self._stream.identity_source and not self._verdicts_stand(identities, unresolved):
            return False
        pseudonym_key = self._settings.pseudonym_key.get_secret_value().encode()
        settle(
            self._stream,
            outcome,
            unresolved,
            run.seen.ids,
            identities.resolve,
            lambda user: user_pseudonym(pseudonym_key, user),
            self._clock.now(),
        )
        run.seen.remember(outcome, writer.position + 1, early=early)
        writer.commit(
            outcome,
            new_counts(writer.state.get(COUNTS, {}), outcome),
            identity_source=self._stream.identity_source,
        )
        drift.report(self._stream.name, drifted)
        self._identities.learn(outcome)
        PAGES.labels(self._stream.name).inc()
        EVENTS.labels(self._stream.name, "published").inc(len(outcome.events))
        EVENTS.labels(self._stream.name, "set_aside").inc(len(outcome.set_aside))
        EVENTS.labels(self._stream.name, "fetched_again").inc(outcome.refetched)
        if writer.complete_through is not None:
            COMPLETE.labels(self._stream.name).set(writer.complete_through.timestamp())
        return True

    def _verdicts_stand(self, identities: Identities, unresolved: Sequence[Unresolved]) -> bool:
        """Waits until the identity source has spoken for every verdict of a page. False when stopping ended that."""
        through = max(
            (
                self._identities.verdict_time(identities.decide(event.account_ref, event.event_time), event.event_time)
                for event in (item.event for item in unresolved)
            ),
            default=BEGINNING,
        )
        if not self._identities.wait_complete(through, IDENTITY_WAIT_SECONDS, self._stopping.is_set):
            if self._stopping.is_set():
                return False
            log.warning("identity_source_behind", stream=self._stream.name, wanted=str(through))
        return True


@dataclass(slots=True)
class _Run:
    """From the opening of a writer to its failure. `caught_up` tells that the last poll left nothing more to fetch."""

    writer: StreamWriter
    seen: SeenIds
    intake: DeliveryIntake | None
    caught_up: bool = False

    def close(self) -> None:
        if self.intake is not None:
            self.intake.close()


class _Attempts:
    """Failures in a row of one kind of call, and how long to wait after each."""

    def __init__(self, stream: str, *, parked: str = "stream_parked", backs_off: str = "stream_backs_off") -> None:
        self._stream, self._parked, self._backs_off = stream, parked, backs_off
        self._failures = 0
        self._again_at = 0.0

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, error: RetriableError | FatalError) -> float:
        """Says and counts it; seconds to wait: the other side's hint, else full jitter below a growing bound."""
        self._failures += 1
        FAILURES.labels(self._stream, type(error).__name__).inc()
        if isinstance(error, FatalError):
            wait = PARKED_SECONDS
            log.error(self._parked, stream=self._stream, error=str(error), again_in_seconds=wait)
        else:
            ceiling = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** min(self._failures, 10))
            hint = error.retry_after_seconds
            wait = hint if hint is not None else random.uniform(0, ceiling)  # noqa: S311 - jitter
            log.warning(self._backs_off, stream=self._stream, error=str(error), wait_seconds=round(wait, 2))
        self._again_at = time.monotonic() + wait
        return wait

    def again_in(self) -> float:
        """Seconds until the wait after the last failure is over."""
        return self._again_at - time.monotonic()
