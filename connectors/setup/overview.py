"""Connectors and their streams as people see them: what is enabled, what is missing, what each does, how far it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any

import orjson
from confluent_kafka import Message

from connectors.catalogue import connector_modules, registrations_of, require_connectors
from connectors.conditions import (
    BACKING_OFF,
    CATCHING_UP,
    FIRST_LOAD,
    FOLLOWING,
    GONE_AFTER,
    PARKED,
    STARTING,
    Condition,
)
from connectors.contract import Json
from connectors.fates import COMPLETE, COUNTS
from connectors.stream_state import CURSORS
from connectors.topic_reading import read_to_end
from connectors.writer import POSITION, to_instant
from vitals.avro import AvroSerde
from vitals.errors import UserError
from vitals.settings import Settings

NEVER_RUN, NOT_RUNNING, PAUSED, RUNNING, BEHIND = "never run", "not running", "paused", "running", "behind"

_SAID = {
    STARTING: "starting",
    FIRST_LOAD: "first load",
    CATCHING_UP: BEHIND,
    FOLLOWING: RUNNING,
    BACKING_OFF: "backing off",
    PARKED: "parked",
}
_WORST_FIRST = ("parked", "backing off", PAUSED, NOT_RUNNING, NEVER_RUN, "first load", BEHIND, "starting", RUNNING)


@dataclass(slots=True)
class StreamFigures:
    """What a stream's committed state says. `committed_at` is the wall clock of its last transaction."""

    complete_through: datetime | None = None
    position: int = 0
    committed_at: datetime | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def total(self, fate: str) -> int:
        """How many events (or unreadable objects) had this fate."""
        return sum(fates.get(fate, 0) for fates in self.counts.values())


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream at one moment. `lag_seconds` is source time now minus `complete_through`."""

    name: str
    topics: tuple[str, ...]
    state: str
    figures: StreamFigures
    condition: Condition | None
    lag_seconds: float | None

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        told = self.condition if self.state not in (NOT_RUNNING, NEVER_RUN) else None
        through, committed_at = self.figures.complete_through, self.figures.committed_at
        return {
            "stream": self.name,
            "topics": list(self.topics),
            "state": self.state,
            "complete_through": None if through is None else through.isoformat(),
            "lag_seconds": self.lag_seconds,
            "position": self.figures.position,
            "committed_at": None if committed_at is None else committed_at.isoformat(),
            "published": self.figures.total("published"),
            "quarantined": self.figures.total("quarantined"),
            "dead_lettered": self.figures.total("dead_lettered"),
            "since": told and told.since.isoformat(),
            "reason": told and told.reason,
            "until": told and told.until and told.until.isoformat(),
            "progress": None
            if told is None or told.done is None
            else {
                "done": told.done,
                "total": told.total,
                "unit": told.unit,
                "remaining_seconds": told.remaining_seconds,
            },
        }


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """A connector: `missing` says which settings it lacks; None where it could connect."""

    name: str
    enabled: bool
    missing: str | None
    streams: tuple[StreamView, ...]

    @property
    def state(self) -> str:
        """The state of the stream that most needs a look."""
        return min((stream.state for stream in self.streams), key=_WORST_FIRST.index, default=NEVER_RUN)

    def json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "connector": self.name,
            "enabled": self.enabled,
            "configured": self.missing is None,
            "missing": self.missing,
            "state": self.state,
            "streams": [stream.json() for stream in self.streams],
        }


@dataclass(frozen=True, slots=True)
class Observed:
    """What Kafka tells of every stream, and when it was asked: by the wall clock, and by the source's."""

    figures: Mapping[str, StreamFigures]
    conditions: Mapping[str, Condition]
    paused: frozenset[str]
    now: datetime
    source_now: datetime | None


def stream_view(name: str, topics: tuple[str, ...], observed: Observed) -> StreamView:
    """One stream. Pure."""
    figures = observed.figures.get(name, StreamFigures())
    condition = observed.conditions.get(name)
    lag = None
    if figures.complete_through is not None and observed.source_now is not None:
        lag = max(0.0, (observed.source_now - figures.complete_through).total_seconds())
    return StreamView(name, topics, _state(name, figures, condition, observed), figures, condition, lag)


def _state(name: str, figures: StreamFigures, condition: Condition | None, observed: Observed) -> str:
    if name in observed.paused:
        return PAUSED
    if condition is not None and condition.alive(observed.now):
        return _SAID.get(condition.condition, condition.condition)
    if figures.committed_at is None:
        return NEVER_RUN
    # What is not run by `vitals connect`, such as the collect endpoint, tells no condition but commits every second.
    return RUNNING if condition is None and observed.now - figures.committed_at < GONE_AFTER else NOT_RUNNING


def connector_view(module: ModuleType, settings: Settings, observed: Observed) -> ConnectorView:
    """One connector. Its settings are looked at, its vendor is not asked."""
    missing = None
    try:
        for stream in module.create(settings):
            stream.close()
    except UserError as error:
        missing = str(error)
    named = registrations_of(module, settings.model_copy(update={"simulator_url": "http://127.0.0.1"}))
    streams = tuple(stream_view(name, topics, observed) for _, name, topics in named)
    return ConnectorView(module.NAME, module.NAME in settings.enabled_connectors, missing, streams)


def connector_views(settings: Settings, observed: Observed, names: Iterable[str] = ()) -> list[ConnectorView]:
    """The named connectors, or all that exist, enabled ones first.

    Raises:
        UserError: no such connector.
    """
    modules = require_connectors(tuple(names) or tuple(sorted(connector_modules())))
    views = [connector_view(module, settings, observed) for module in modules.values()]
    return sorted(views, key=lambda view: not view.enabled)


def read_figures(settings: Settings, serde: AvroSerde) -> dict[str, StreamFigures]:
    """The committed figures of every stream; its other entries are passed over unread. Raises as `read_to_end`."""
    return figures_of(read_to_end(settings, CURSORS), serde)


def figures_of(messages: Iterable[Message], serde: AvroSerde) -> dict[str, StreamFigures]:
    """The figures in records of `connectors.cursors`, which come in the log's order."""
    found: dict[str, StreamFigures] = {}
    for message in messages:
        stream, _, entry = (message.key() or b"").decode().partition("|")
        if entry not in (COMPLETE, POSITION, COUNTS) or message.value() is None:
            continue
        _, record = serde.decode(message.value())
        value: Json = orjson.loads(record["value"])
        figures = found.setdefault(stream, StreamFigures())
        if entry == COMPLETE:
            figures.complete_through = to_instant(value)
        elif entry == COUNTS:
            figures.counts = value
        else:
            figures.position, figures.committed_at = int(value), record["written_at"]
    return found
