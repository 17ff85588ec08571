"""What a metric is: one aggregate expression over the canonical event table, with its grain and mergeable kind.

The expression is Ibis, so that every engine runs the same definition. The event table has the columns of
`schemas/avro/Event.avsc`; `event_time` is a UTC timestamp, `value` a DECIMAL(38,6), `properties` a map of strings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

import ibis
from ibis import Table
from ibis.expr.types import BooleanValue, Value

MergeKind = Literal["count", "sum", "min", "max", "distinct", "last"]
Grain = Literal["minute", "hour", "day"]

GRAINS: tuple[Grain, ...] = ("minute", "hour", "day")
"""Every grain, finest first."""

TRUNCATION: Mapping[Grain, str] = MappingProxyType({"minute": "m", "hour": "h", "day": "D"})
"""Ibis's names of the grains."""

LENGTH: Mapping[Grain, timedelta] = MappingProxyType(
    {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
)
"""How long a window of each grain is."""

EVENTS = ibis.table(
    {
        "event_id": "string",
        "account_id": "string",
        "user_id": "string",
        "kind": "string",
        "source": "string",
        "event_time": "timestamp",
        "value": "decimal(38,6)",
        "properties": "map<string, string>",
    },
    name="events",
)
"""The canonical event table that every expression is written over."""


@dataclass(frozen=True)
class Metric:
    """One metric of one events topic.

    `where` picks the events. `measure` gives what is summed, compared or told apart; None for a count. How two partial
    values of a window merge follows from `merge`: counts and sums add, minima and maxima compare, distinct values
    unite, and last takes the value of the newest event (by event time, then event id).

    Every grain multiplies the rows that are kept for ever: day for all, finer ones where a live view shows them.
    """

    name: str
    topic: str
    merge: MergeKind
    where: Callable[[Table], BooleanValue]
    unit: str
    owner: str
    description: str
    measure: Callable[[Table], Value] | None = None
    grains: tuple[Grain, ...] = ("day",)

    def __post_init__(self) -> None:
        if (self.measure is None) != (self.merge == "count"):
            raise ValueError(f"Metric {self.name}: a count has no measure, every other kind has one.")
        if not self.grains or sorted(set(self.grains), key=GRAINS.index) != list(self.grains):
            raise ValueError(f"Metric {self.name}: name each grain once, finest first.")


def of_kind(*kinds: str) -> Callable[[Table], BooleanValue]:
    """Picks the events of the given kinds."""
    return lambda events: events.kind.isin(kinds)


NUMBER = r"^[+-]?[0-9]{1,20}([.][0-9]{1,6})?$"
"""What every engine reads as the same number. They differ on others: 1_000 is a number to DuckDB alone, and each rounds
a seventh decimal in its own way."""


def number(events: Table, name: str) -> Value:
    """A property as a number; null where its text is none, which a cast that raises would make everyone's trouble."""
    text = events.properties[name]
    return text.re_search(NUMBER).ifelse(text.try_cast("decimal(38,6)"), ibis.null("decimal(38,6)"))
