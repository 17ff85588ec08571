"""Asks Kafka and the source's clock what there is to show."""

from datetime import datetime

import httpx

from connectors.collect.source_time import SourceTime
from connectors.conditions import read_conditions
from connectors.orders import read_paused
from connectors.setup.overview import Observed, read_figures
from vitals.avro import AvroSerde, Registry
from vitals.clock import Clock, WallClock
from vitals.errors import RetriableError
from vitals.settings import Settings


def observe(settings: Settings) -> Observed:
    """Everything that the topics tell of the streams now.

    Raises:
        UserError: Kafka does not answer, or was not bootstrapped.
        RetriableError: the registry does not answer.
    """
    serde = AvroSerde(Registry(settings.registry_url))
    figures = read_figures(settings, serde)
    paused = frozenset(read_paused(settings, serde))
    conditions = read_conditions(settings, serde)
    clock = source_clock(settings)
    return Observed(figures, conditions, paused, WallClock().now(), None if clock is None else clock.now())


def unobserved() -> Observed:
    """What can be shown without Kafka."""
    return Observed({}, {}, frozenset(), WallClock().now(), None)


def source_clock(settings: Settings) -> Clock | None:
    """The deployment's source time; None where a simulator owns it and does not tell."""
    if not settings.source_clock_url:
        return None if settings.simulator_url else WallClock()
    source_time = SourceTime(settings.source_clock_url)
    try:
        with httpx.Client(timeout=2.0) as client:
            source_time.refresh(client)
    except RetriableError:
        return None
    return source_time


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, as people say it.

    >>> from datetime import UTC
    >>> age(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 2, 5, tzinfo=UTC))
    '2 h'
    """
    return "never" if moment is None else duration((now - moment).total_seconds())


def duration(seconds: float) -> str:
    """A length of time in its largest unit.

    >>> [duration(each) for each in (3, 95, 4000, 200_000)]
    ['3 s', '1 min', '1 h', '2 d']
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
