"""Drives quarantined events again once their account is known: through their stream, with the ids that they have.

Events, the state that says what waits, and the counts change in one transaction of the stream's own writer, so that a
kill at any moment neither loses an event nor publishes it twice.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import Counter

from connectors.fates import COUNTS, PageOutcome
from connectors.identities import IdentityIndex
from connectors.identity.resolution import Decision
from connectors.quarantine.records import read_waiting
from connectors.quarantine.waiting import Waiting, batches, counts_after, waiting_in
from connectors.writer import StreamWriter
from vitals.avro import AvroSerde
from vitals.clock import Clock
from vitals.events import Event
from vitals.settings import Settings

log = structlog.get_logger()

REDRIVEN = Counter("vitals_connector_redriven_total", "Quarantined events that were driven again.", ["stream"])

CHECK_SECONDS = 1.0
"""Shortest time between two looks at everything that waits."""
_SHARE = 20
"""A look may take one part in so many of the time."""


class Redriver:
    """What one stream has in quarantine. Used in the thread of the stream's writer."""

    def __init__(
        self,
        settings: Settings,
        serde: AvroSerde,
        clock: Clock,
        index: IdentityIndex,
        only: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`only` drives the events of this name and no others."""
        self._settings, self._serde, self._clock, self._index = settings, serde, clock, index
        self._only, self._monotonic = only, monotonic
        self._decided: list[list[Waiting]] = []
        self._looked_at: int | None = None
        self._look_again_at = float("-inf")
        self._gone: set[str] = set()

    def turn(self, writer: StreamWriter) -> bool:
        """Drives one batch of what is decided by now; whether it did, so that there may be more.

        Raises:
            RetriableError: nothing was written; the writer is unusable, or the topic could not be read.
        """
        if not self._decided:
            self._look(writer)
        if not self._decided:
            return False
        batch = [one for one in self._decided.pop(0) if one.entry in writer.state]
        if batch:
            self._drive(writer, batch)
        return True

    def _look(self, writer: StreamWriter) -> None:
        """Finds what is decided now. Nothing to do while the index says what it said the last time."""
        version, now = self._index.version, self._monotonic()
        if version == self._looked_at or now < self._look_again_at:
            return
        decided: dict[str, bool] = {}
        waits_for_source = False
        for one in waiting_in(writer.state):
            if one.account_ref not in decided and self._only in (None, one.account_ref):
                decision = self._index.decide(one.account_ref)
                stands = decision.account is not None and self._stands(decision)
                waits_for_source |= decision.account is not None and not stands
                decided[one.account_ref] = stands
        self._decided = batches(
            one for one in waiting_in(writer.state) if decided.get(one.account_ref) and one.entry not in self._gone
        )
        self._looked_at = None if waits_for_source else version
        self._look_again_at = now + max(CHECK_SECONDS, _SHARE * (self._monotonic() - now))

    def _stands(self, decision: Decision) -> bool:
        """Whether the identity source has spoken for the claims: until then it may bring a stronger one."""
        return decision.as_of is None or self._index.wait_complete(decision.as_of, 0.0, lambda: True)

    def _drive(self, writer: StreamWriter, batch: list[Waiting]) -> None:
        now = self._clock.now()
        events: dict[str, Event] = {}
        names: set[str] = set()
        for found in read_waiting(self._settings, self._serde, writer.stream, batch):
            assert found.record is not None, "only quarantined events are read"
            record = found.record
            account = self._index.resolve(record["account_ref"], record["event_time"])
            if account is None:  # a claim was withdrawn in this moment
                log.warning("redrive_undecided", stream=writer.stream, account_ref=record["account_ref"])
                return
            names.add(record["account_ref"])
            events[record["event_id"]] = event_of(record, account, now)
        lost = [one for one in batch if one.account_ref not in names]
        for one in lost:
            log.error("quarantine_gone", stream=writer.stream, account_ref=one.account_ref, first=one.first)
            self._gone.add(one.entry)
        if not events:
            return
        outcome = PageOutcome((), None, events=list(events.values()))
        outcome.updates = {one.entry: None for one in batch if one not in lost}
        writer.commit(outcome, counts_after(writer.state.get(COUNTS, {}), [event.kind for event in outcome.events]))
        REDRIVEN.labels(writer.stream).inc(len(events))
        log.info("redriven", stream=writer.stream, events=len(events), names=len(names))


def event_of(record: Mapping[str, Any], account: str, ingested_at: datetime) -> Event:
    """The canonical event of a quarantined one (`QuarantinedEvent`)."""
    return Event(
        event_id=record["event_id"],
        account_id=account,
        kind=record["kind"],
        source=record["source"],
        event_time=record["event_time"],
        ingested_at=ingested_at,
        user_id=record["user_id"],
        value=record["value"],
        properties=record["properties"],
    )
