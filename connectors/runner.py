"""Runs connector streams: fetch, map, settle, commit; one thread and one transactional id a stream.

Between the polls of a vendor that has nothing new, a stream takes what its source's webhooks brought.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from connectors import drift
from connectors.attempts import Attempts
from connectors.contract import Delivery, Page, Stream
from connectors.fates import COUNTS, SeenIds, SetAside, Unresolved, map_page, new_counts, settle
from connectors.identities import BEGINNING, IdentityIndex
from connectors.identity.resolution import Identities
from connectors.quarantine.redrive import Redriver
from connectors.repairs import Repairs, read_repairs, untold
from connectors.watch import Watch
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
DELIVERIES = Counter("vitals_connector_deliveries_total", "Webhook deliveries taken.", ["stream"])
COMPLETE = Gauge("vitals_connector_complete_through_seconds", "Source time (epoch) of the last progress.", ["stream"])

IDENTITY_WAIT_SECONDS = 60.0
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
        watch: Watch | None = None,
    ) -> None:
        self._stream, self._settings, self._serde, self._clock = stream, settings, serde, clock
        self._identities, self._stopping = identities, stopping
        self._watch = watch or Watch(stream, clock)
        self._commits, self._fetches = Attempts(stream.name, self._watch), Attempts(stream.name, self._watch)
        self._deliveries = Attempts(stream.name, parked="deliveries_parked", backs_off="deliveries_back_off")
        self._redriver = Redriver(settings, serde, clock, identities)
        self._takes_webhooks = type(stream).received is not Stream.received

    def run(self) -> None:
        """Runs until stopping. Passing faults back off with full jitter; a fatal one parks the stream and says so."""
        run: _Run | None = None
        if not self._identities.wait_read(IDENTITY_WAIT_SECONDS, self._stopping.is_set):
            log.warning("identities_unread", stream=self._stream.name)
        while not self._stopping.is_set():
            if self._watch.paused():
                _close(run)
                run = None  # meanwhile somebody may run the stream by hand
                self._stopping.wait(self._settings.poll_interval_seconds)
                continue
            try:
                if run is None:
                    self._watch.starting()
                    run = self._open()
                if self._redriver.turn(run.writer) or self._repaired(run):
                    continue
                rest = self._turn(run)
                self._commits.succeeded()
                if rest is None:
                    break
                self._rest(run, rest)
            except RetriableError as error:
                _close(run)
                run = None
                self._stopping.wait(self._commits.failed(error))
        _close(run)
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

    def _turn(self, run: "_Run") -> float | None:
        """Fetches and commits one page; seconds to rest after it, None where the watch wants no more.

        A vendor's fault leaves everything as it is.
        """
        try:
            page = self._stream.fetch(run.writer.state)
        except (RetriableError, FatalError) as error:
            return self._fetches.failed(error)
        self._fetches.succeeded()
        if self._commit(run, page):
            run.caught_up = not page.more
            if self._watch.committed(page, run.writer.state, run.writer.complete_through):
                return None
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

    def _repaired(self, run: "_Run") -> bool:
        """Maps dead letters again that somebody mended; whether there were any."""
        name, end = self._stream.name, self._watch.repairs_end()
        repairs = read_repairs(self._settings, self._serde, name, run.writer.state, end)
        if repairs is None:
            return False
        if self._commit(run, repairs.page(), early=True, repairs=repairs):
            log.info("dead_letters_repaired", stream=name, letters=len(repairs.taken))
        return True

    def _commit(
        self,
        run: "_Run",
        page: Page,
        *,
        early: bool = False,
        refused: Iterable[SetAside] = (),
        repairs: Repairs | None = None,
    ) -> bool:
        """Commits a page; False where stopping came before."""
        writer = run.writer
        state = writer.state if repairs is None else untold(writer.state)
        outcome, unresolved, _ = map_page(self._stream, page, state)
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
        counts = writer.state.get(COUNTS, {})
        if repairs is not None:
            counts = repairs.settle_letters(self._stream.name, outcome, counts)
        writer.commit(
            outcome,
            new_counts(counts, outcome),
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


def _close(run: _Run | None) -> None:
    if run is not None:
        run.close()
