"""The watermark of one partition of one events topic, and the bound up to which its windows are sealed. Pure.

It moves only on progress records, never on observed event times, and never back.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)

DAY_MICROS = 86_400_000_000
"""Microseconds of a UTC day. Instants here are microseconds since the epoch."""


def micros(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - EPOCH) // MICRO


def instant_of(microseconds: int | None) -> datetime | None:
    """The instant of microseconds since the epoch."""
    return None if microseconds is None else EPOCH + microseconds * MICRO


@dataclass
class Watermark:
    """The minimum over the registered streams. `value` and `sealed_through` are None until every stream has spoken."""

    allowed_lateness: int
    streams: dict[str, int | None] = field(default_factory=dict)
    value: int | None = None

    def advance(self, stream: str, mode: str, complete_through: int | None) -> None:
        """Takes one progress record. A stream that has spoken is not set back; a retired one no longer counts."""
        if mode == "retired":
            self.streams.pop(stream, None)
        else:
            known = self.streams.get(stream)
            spoken = [instant for instant in (known, complete_through) if instant is not None]
            self.streams[stream] = max(spoken, default=None)
        bounds = list(self.streams.values())
        complete = [bound for bound in bounds if bound is not None]
        if not bounds or len(complete) < len(bounds):
            return
        self.value = min(complete) if self.value is None else max(self.value, min(complete))

    @property
    def sealed_through(self) -> int | None:
        """Windows that end at or before this are sealed: whole UTC days, so that every grain of a day seals at once.

        >>> Watermark(3_600_000_000, value=2 * DAY_MICROS + 3_599_999_999).sealed_through == DAY_MICROS
        True
        """
        if self.value is None:
            return None
        return (self.value - self.allowed_lateness) // DAY_MICROS * DAY_MICROS

    def is_late(self, event_time: int) -> bool:
        """Whether an event belongs to a day that is sealed."""
        sealed = self.sealed_through
        return sealed is not None and event_time < sealed

    def saved(self) -> dict[str, Any]:
        """For the snapshot."""
        return {"streams": self.streams, "value": self.value}

    def restore(self, saved: dict[str, Any]) -> None:
        """From the snapshot."""
        self.streams, self.value = dict(saved["streams"]), saved["value"]
