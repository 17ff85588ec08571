"""Instants and months in UTC, between epoch seconds and the vendors' text forms."""

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

DAY = 86_400


def epoch(text: str) -> int:
    """Epoch seconds of an ISO 8601 instant or day; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def iso(seconds: float) -> str:
    """`2026-11-20T10:04:11Z`, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:19] + "Z"


def iso_day(seconds: int) -> str:
    """`2026-11-20`."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def http_date(seconds: int) -> str:
    """The form of the HTTP `Date` header, independent of the locale."""
    moment = datetime.fromtimestamp(seconds, UTC)
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.month - 1]
    return f"{weekday}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S} GMT"


def month_starts(first: int, last: int) -> npt.NDArray[np.int64]:
    """Epoch seconds of the first instant of every month from that of `first` to that of `last`, both included."""
    start = np.datetime64(first, "s").astype("datetime64[M]")
    end = np.datetime64(last, "s").astype("datetime64[M]")
    return np.arange(start, end + 1).astype("datetime64[s]").astype(np.int64)


@lru_cache(maxsize=4_096)
def next_month(month_start: int) -> int:
    """The first instant of the month after the one that starts at `month_start`."""
    return int((np.datetime64(month_start, "s").astype("datetime64[M]") + 1).astype("datetime64[s]").astype(np.int64))
