"""Instants and whole UTC days. A day is its number since 1970-01-01; tick `T` is the midnight that begins day `T`."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
DAY_MICROS: Final = 86_400 * 1_000_000


def day_of(instant: datetime) -> int:
    """The day that an instant lies in, which is also the newest tick at or before it.

    >>> day_of(datetime(1970, 1, 2, tzinfo=UTC)), day_of(datetime(1970, 1, 2, 23, 59, tzinfo=UTC))
    (1, 1)
    """
    return (instant - EPOCH) // DAY


def midnight_micros(tick: int) -> int:
    """A tick as Avro's timestamp-micros."""
    return tick * DAY_MICROS
