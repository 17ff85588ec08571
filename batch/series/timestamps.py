"""Timestamps as people write them in files, as microseconds since 1970 UTC. Pure."""

import math
from datetime import UTC, datetime

_UNITS = ((1e17, 1e-3), (1e14, 1.0), (1e11, 1e3), (0.0, 1e6))
"""Epoch times by size: nanoseconds, microseconds, milliseconds, seconds."""


def micros_of(text: str) -> float:
    """Microseconds since 1970 UTC, of ISO 8601 (without a zone: UTC) or of an epoch time in s, ms, us or ns.

    >>> micros_of("1970-01-01 00:00:01"), micros_of("1970-01-01T02:00:01+02:00"), micros_of("1700000000")
    (1000000.0, 1000000.0, 1700000000000000.0)

    Raises:
        ValueError: it is neither.
    """
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1e6
    if not math.isfinite(number):
        raise ValueError(text)
    # A date without separators is a date.
    if len(text) == 8 and text.isdigit() and 19000101 <= number <= 21001231:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1e6
    return number * next(factor for least, factor in _UNITS if abs(number) >= least)
