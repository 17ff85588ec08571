"""What becomes of a page: events to publish, records to set aside, ids to remember, counts. Pure.

Every mapped event has exactly one fate here (published, quarantined, dead_lettered), or is skipped because an overlap
brought it again. The counts are part of the stream's state, so they are exact under any failure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson

from connectors.contract import Json, MappedEvent, Page, Profile, RawObject, State, Stream
from connectors.identity.claims import Alias, Claim, statements
from connectors.stream_state import merge_updates
from vitals.errors import BadRecordError
from vitals.events import Event, event_id

SEEN = "seen/"
EARLY = "early/"
LAST_PAGE = "last_page"
EARLY_LEAVES = timedelta(hours=1)
COUNTS = "counts"
COMPLETE = "complete_through"
SCALE = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that is not published: its record name is `QuarantinedEvent` or `DeadLetter`."""

    record_name: str
    key: str
    kind: str | None
    event_id: str | None
    account_ref: str | None
    event_time: datetime | None
    error_class: str
    message: str
    origin: str
    original: bytes
    user_id: str | None = None
    value: Decimal | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    attempt: int = field(default=1, kw_only=True)

    def tried(self, attempt: int) -> "SetAside":
        """The same after so many attempts."""
        return replace(self, attempt=attempt)


@dataclass(slots=True)
class PageOutcome:
    """Everything that one transaction writes."""

    objects: Sequence[RawObject]
    complete_through: datetime | None
    events: list[Event] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    updates: dict[str, Json] = field(default_factory=dict)
    refetched: int = 0


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A mapped event together with the raw object that it came from."""

    raw: RawObject
    event: MappedEvent


def raw_bytes(raw: RawObject) -> bytes:
    """The raw object as bytes, as it goes to a dead letter."""
    if raw.written is not None:
        return raw.written
    return raw.body.encode() if isinstance(raw.body, str) else orjson.dumps(raw.body)


def origin_of(stream: str, raw: RawObject) -> str:
    """Where a record that is set aside came from: `connectors.dead_letters` reads it again."""
    return f"{stream}/{raw.object_type}/{raw.source_id}"


def mapped_id(source: str, event: MappedEvent) -> str:
    """Deterministic id of a mapped event."""
    return event_id(source, event.object_type, event.source_id, event.kind, event.occurrence)


def map_page(stream: Stream, page: Page, state: State) -> tuple[PageOutcome, list[Unresolved], dict[str, Json]]:
    """Maps every object of a page; an invalid object becomes a dead letter and the page goes on.

    Returns the outcome so far, the events whose account is to be resolved, and the state after the page.
    """
    outcome = PageOutcome(page.objects, page.complete_through)
    working = dict(state)
    unresolved: list[Unresolved] = []
    for raw in page.objects:
        try:
            mapped = stream.map(raw, working)
        except BadRecordError as error:
            outcome.set_aside.append(
                SetAside(
                    "DeadLetter", raw.source_id, None, None, None, None, type(error).__name__, str(error),
                    origin_of(stream.name, raw), raw_bytes(raw),
                )
            )  # fmt: skip
            continue
        unresolved.extend(Unresolved(raw, event) for event in mapped.events)
        outcome.profiles.extend(mapped.profiles)
        said = statements(stream.source, stream.name, mapped, working)
        outcome.claims.extend(said.claims)
        outcome.aliases.extend(said.aliases)
        for updates in (mapped.state, said.state):
            merge_updates(working, updates)
            outcome.updates.update(updates)
    merge_updates(working, page.state)
    outcome.updates.update(page.state)
    return outcome, unresolved, working


def settle(
    stream: Stream,
    outcome: PageOutcome,
    unresolved: Iterable[Unresolved],
    seen: set[str],
    resolve: Callable[[str | None, datetime], str | None],
    pseudonym: Callable[[str], str],
    ingested_at: datetime,
) -> None:
    """Gives every mapped event its fate and adds it to the outcome. `seen` grows by the ids of this page."""
    for item in unresolved:
        event = item.event
        identifier = mapped_id(stream.source, event)
        if identifier in seen:
            outcome.refetched += 1
            continue
        seen.add(identifier)
        account = resolve(event.account_ref, event.event_time)
        user_id = None if event.user is None else pseudonym(event.user)
        value = None if event.value is None else event.value.quantize(SCALE)
        if account is None:
            outcome.set_aside.append(
                SetAside(
                    "QuarantinedEvent", event.account_ref or item.raw.source_id, event.kind, identifier,
                    event.account_ref, event.event_time, "UnknownAccountError",
                    f"Nothing tells which account {event.account_ref!r} is.",
                    origin_of(stream.name, item.raw), raw_bytes(item.raw), user_id, value, event.properties,
                )
            )  # fmt: skip
            continue
        outcome.events.append(
            Event(
                event_id=identifier,
                account_id=account,
                kind=event.kind,
                source=stream.source,
                event_time=event.event_time,
                ingested_at=ingested_at,
                user_id=user_id,
                value=value,
                properties=event.properties,
            )
        )


def new_counts(counts: Mapping[str, Mapping[str, int]], outcome: PageOutcome) -> dict[str, dict[str, int]]:
    """Absolute counts by kind and fate after a page. Objects that no kind could be read from count as `unreadable`."""
    total = {kind: dict(fates) for kind, fates in counts.items()}

    def count(kind: str, fate: str) -> None:
        fates = total.setdefault(kind, {})
        fates[fate] = fates.get(fate, 0) + 1

    for event in outcome.events:
        count(event.kind, "published")
    for record in outcome.set_aside:
        count(
            record.kind or "unreadable", "quarantined" if record.record_name == "QuarantinedEvent" else "dead_lettered"
        )
    return total


class SeenIds:
    """The ids that a stream emitted within its overlap, by event day, kept in the stream's state.

    An id is remembered until its day ends before the newest event minus the overlap; the rollup drops duplicates of
    days that are still open anyway, so this only keeps re-fetched events off the topics. Ids of older days are kept for
    one page: vendors begin a page with the last row of the page before it, whenever what that tells happened.

    What a webhook brought early comes again with a fetch, however far the fetches are behind. Such ids go by promises
    alone: once their day lies before a promise minus the overlap, and another `EARLY_LEAVES` was promised since.
    """

    def __init__(self, overlap: timedelta | None, state: State) -> None:
        self._overlap = overlap
        self._entries: dict[str, list[str]] = {
            entry: ids for entry, ids in state.items() if entry.startswith(SEEN) and overlap is not None
        }
        self._early: dict[str, list[str]] = {entry: ids for entry, ids in state.items() if entry.startswith(EARLY)}
        self._leaving: dict[str, datetime] = {}
        self._last_page: list[str] = state.get(LAST_PAGE, []) if overlap is not None else []
        self.ids: set[str] = {
            identifier for entries in (self._entries, self._early) for ids in entries.values() for identifier in ids
        } | set(self._last_page)
        self._newest = datetime(1, 1, 1, tzinfo=UTC)

    def remember(self, outcome: PageOutcome, sequence: int, *, early: bool = False) -> None:
        """Adds this page's ids to the state updates and removes expired days. `sequence` makes the entries unique.

        `early` tells that a webhook brought the page.
        """
        emitted = [(event.event_time, event.event_id) for event in outcome.events] + [
            (record.event_time, record.event_id)
            for record in outcome.set_aside
            if record.event_time is not None and record.event_id is not None
        ]
        if early:
            self._add(EARLY, self._early, emitted, outcome, sequence)
            return
        self._forget_early(outcome)
        if self._overlap is None:
            self.ids = {identifier for ids in self._early.values() for identifier in ids}
            return
        self._newest = max([self._newest, *(time for time, _ in emitted), *filter(None, [outcome.complete_through])])
        oldest_day = (self._newest - self._overlap).date().isoformat() if self._newest.year > 1 else ""
        kept = [(time, identifier) for time, identifier in emitted if time.date().isoformat() >= oldest_day]
        self._add(SEEN, self._entries, kept, outcome, sequence)
        if emitted:
            older = [identifier for time, identifier in emitted if time.date().isoformat() < oldest_day]
            self.ids.difference_update(self._last_page)
            if older or self._last_page:
                outcome.updates[LAST_PAGE] = older or None
            self._last_page = older
        for entry in [entry for entry in self._entries if _day(entry) < oldest_day]:
            self.ids.difference_update(self._entries.pop(entry))
            outcome.updates[entry] = None

    def _forget_early(self, outcome: PageOutcome) -> None:
        promise = outcome.complete_through
        if promise is None or not self._early:
            return
        oldest_day = (promise - (self._overlap or timedelta())).date().isoformat()
        for entry in [entry for entry in self._early if _day(entry) < oldest_day]:
            # The promise may have come a long way at once: what changed at the end of that way is still to be shown.
            if promise >= self._leaving.setdefault(entry, promise) + EARLY_LEAVES:
                self.ids.difference_update(self._early.pop(entry))
                del self._leaving[entry]
                outcome.updates[entry] = None

    @staticmethod
    def _add(
        prefix: str,
        entries: dict[str, list[str]],
        emitted: Iterable[tuple[datetime, str]],
        outcome: PageOutcome,
        sequence: int,
    ) -> None:
        by_day: dict[str, list[str]] = {}
        for time, identifier in emitted:
            by_day.setdefault(time.date().isoformat(), []).append(identifier)
        for day, ids in by_day.items():
            entry = f"{prefix}{day}/{sequence}"
            entries[entry] = ids
            outcome.updates[entry] = ids


def _day(entry: str) -> str:
    return entry.split("/")[1]
