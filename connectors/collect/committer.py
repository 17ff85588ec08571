"""The one writer of `collect.http`: groups what waits into transactions and answers after the commit."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from prometheus_client import Counter, Histogram

from connectors.collect.calls import map_call
from connectors.collect.connector import NAME, STREAM, topics
from connectors.collect.inbox import Inbox, Received, Submission
from connectors.collect.recent_ids import RecentIds
from connectors.collect.source_time import SourceTime
from connectors.contract import Mapped, MappedEvent, Page, RawObject, State, Stream
from connectors.fates import COUNTS, PageOutcome, Unresolved, map_page, new_counts, settle
from connectors.identities import IdentityIndex
from connectors.quarantine.redrive import Redriver
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.errors import RetriableError
from vitals.events import user_pseudonym
from vitals.settings import Settings

log = structlog.get_logger()

EVENTS = Counter("vitals_collect_events_total", "Calls by fate since this process started.", ["fate"])
ABORTS = Counter("vitals_collect_aborts_total", "Transactions that failed and were tried again.")
COMMITS = Histogram("vitals_collect_commit_seconds", "Time of one transaction, of up to 500 calls.")

CALLS_MAX = 500
LINGER_SECONDS = 0.02
PROGRESS_SECONDS = 1.0
DEFERRED_SECONDS = 0.05
"""How often requests that wait for the identity source are looked at again."""
IDENTITY_WAIT_SECONDS = 5.0
"""Shorter than the polled streams' wait: a client waits for its answer."""
LONGEST_BACKOFF_SECONDS = 2.0


class CollectStream(Stream):
    """`collect.http`: its pages are the calls of one group of requests."""

    source = NAME
    name = STREAM
    topics = topics

    def __init__(self, inbox: Inbox, pseudonym_key: bytes, *, correct_skew: bool) -> None:
        self._inbox = inbox
        self._pseudonym_key = pseudonym_key
        self._correct_skew = correct_skew
        self.committing: Sequence[Submission] = ()
        """The requests of the next page."""
        self.known: RecentIds | None = None

    def fetch(self, state: State) -> Page:
        """The calls of `committing` that were not accepted before, in order, each once."""
        del state
        fresh: dict[str, RawObject] = {}
        for received in _calls(self.committing):
            if self.known is None or received.event_id not in self.known:
                fresh.setdefault(received.event_id, received.raw)
        return Page(list(fresh.values()), {}, self._inbox.complete_through(self.committing), more=False)

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.collect.calls`."""
        return map_call(raw, state, self.pseudonym, correct_skew=self._correct_skew)

    def pseudonym(self, person: str) -> str:
        """A person's keyed pseudonym."""
        return user_pseudonym(self._pseudonym_key, person)


class Committer:
    """Drives the stream in a thread of its own, until it is told to stop and nothing waits any more.

    After an abort the writer is opened again, which tells what was committed, and the same requests are tried again:
    their ids are deterministic, so that nothing is published twice.
    """

    def __init__(
        self,
        stream: CollectStream,
        inbox: Inbox,
        source_time: SourceTime,
        identities: IdentityIndex,
        settings: Settings,
        serde: AvroSerde,
        clock: Clock,
    ) -> None:
        self._stream, self._inbox, self._source_time, self._identities = stream, inbox, source_time, identities
        self._settings, self._serde, self._clock = settings, serde, clock
        self._redriver = Redriver(settings, serde, clock, identities)
        self._held: list[Submission] = []
        self._again = False
        self._progressed_at = float("-inf")
        self.opened = threading.Event()
        """Set once the first writer is open."""

    def run(self, stopping: threading.Event) -> None:
        """Commits until stopping."""
        writer: StreamWriter | None = None
        failures = 0
        while not (stopping.is_set() and self._inbox.empty and not self._held):
            try:
                if writer is None:
                    writer = self._open()
                self._turn(writer)
                failures = 0
            except RetriableError as error:
                writer = None
                self._again = True
                failures += 1
                ABORTS.inc()
                log.warning("collect_aborted", error=str(error), requests=len(self._held))
                ceiling = min(LONGEST_BACKOFF_SECONDS, 0.1 * 2 ** min(failures, 10))
                stopping.wait(random.uniform(0, ceiling))  # noqa: S311 - jitter
                if stopping.is_set() and failures > 3:
                    return

    def _open(self) -> StreamWriter:
        if not self._source_time.known:
            raise RetriableError("The source clock has not told its time yet.")
        writer = StreamWriter(
            self._settings, self._serde, self._clock, self._stream.source, self._stream.name, self._stream.topics
        )
        writer.open()
        self._stream.known = RecentIds(writer.state)
        if writer.complete_through is not None:
            self._source_time.not_before(writer.complete_through)
        self.opened.set()
        log.info("stream_open", stream=STREAM, position=writer.position, complete=str(writer.complete_through))
        return writer

    def _turn(self, writer: StreamWriter) -> None:
        """One group: what is ready is committed and answered, what waits for the identity source is held."""
        self._redriver.turn(writer)
        if not self._again:
            idle = self._progressed_at + PROGRESS_SECONDS - time.monotonic()
            wait = DEFERRED_SECONDS if self._held else max(0.0, idle)
            self._held += self._inbox.take(wait, LINGER_SECONDS, CALLS_MAX)
        for given_up in [submission for submission in self._held if submission.abandoned]:
            self._finish(given_up)
        group = self._ready(writer.state)
        if not group.ready and time.monotonic() < self._progressed_at + PROGRESS_SECONDS:
            self._again = False
            return
        with COMMITS.time():
            self._commit(writer, group)
        self._again = False
        self._progressed_at = time.monotonic()
        for submission in group.ready:
            if submission.settled.set_running_or_notify_cancel():
                submission.settled.set_result(None)
            self._finish(submission)

    def _finish(self, submission: Submission) -> None:
        self._inbox.leave(submission)
        self._held.remove(submission)

    def _ready(self, state: State) -> "Group":
        """Requests whose accounts are known, or may be called unknown: the identity source has spoken for their time,
        or did not speak for so long that its outage must not hold the clients up.
        """
        ready = list(self._held)
        while True:
            self._stream.committing = ready
            page = self._stream.fetch(state)
            outcome, unresolved, _ = map_page(self._stream, page, state)
            unknown = {
                (item.raw.object_type, item.raw.source_id): item.event.event_time
                for item in unresolved
                if item.event.account_ref is not None and not self._stands(item.event)
            }
            deferred = [submission for submission in ready if unknown and self._must_wait(submission, unknown)]
            if not deferred:
                return Group(ready, outcome, unresolved)
            # Mapped again: without the deferred ones a later call may find no company that a `group` call named.
            ready = [submission for submission in ready if submission not in deferred]

    def _stands(self, event: MappedEvent) -> bool:
        """Whether no later word of the identity source can change whose event this is."""
        decision = self._identities.decide(event.account_ref, event.event_time)
        return decision.account is not None and (
            decision.as_of is None or self._identities.wait_complete(decision.as_of, 0.0, lambda: True)
        )

    def _must_wait(self, submission: Submission, unknown: Mapping[tuple[str, str], datetime]) -> bool:
        keys = [(received.raw.object_type, received.raw.source_id) for received in submission.calls]
        times = [min(unknown[key], submission.received_at) for key in keys if key in unknown]
        if not times or self._identities.wait_complete(max(times), 0.0, lambda: True):
            return False
        if time.monotonic() - submission.admitted_at < IDENTITY_WAIT_SECONDS:
            return True
        log.warning("identity_source_behind", stream=STREAM, unknown=len(times))
        return False

    def _commit(self, writer: StreamWriter, group: "Group") -> None:
        stream, known, outcome = self._stream, self._stream.known, group.outcome
        assert known is not None, "a writer is open"
        now = self._clock.now()
        settle(stream, outcome, group.unresolved, set(), self._identities.resolve, stream.pseudonym, now)
        invalid = {
            record.event_id: record for submission in group.ready for record in submission.invalid if record.event_id
        }
        outcome.set_aside.extend(record for key, record in invalid.items() if key not in known)
        ids = [event.event_id for event in outcome.events]
        ids += [record.event_id for record in outcome.set_aside if record.event_id is not None]
        outcome.updates.update(known.remember(ids, now))
        writer.commit(outcome, new_counts(writer.state.get(COUNTS, {}), outcome))
        EVENTS.labels("published").inc(len(outcome.events))
        EVENTS.labels("set_aside").inc(len(outcome.set_aside))
        EVENTS.labels("repeated").inc(len(_calls(group.ready)) - len(outcome.objects))


@dataclass(frozen=True, slots=True)
class Group:
    """Requests of one transaction, and what their calls mean."""

    ready: Sequence[Submission]
    outcome: PageOutcome
    unresolved: Sequence[Unresolved]


def _calls(submissions: Sequence[Submission]) -> list[Received]:
    return [received for submission in submissions for received in submission.calls]
