"""What the checks of a topic see in a batch of events: partial statistics by partition, check, source and window. Pure.

An event is in its window unless the window was closed at its place in the log, that is, the partition's watermark had
passed the window's end. So the statistics are a function of the log, however it was cut into batches. Statistics that
only grow (cumulative checks) take such an event in the first window that was open.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from analytics.quality.declarations import (
    Check,
    Completeness,
    CrossSource,
    Drift,
    KnownAccounts,
    OneTopic,
    Side,
    Uniqueness,
    Validity,
    Volume,
)
from analytics.quality.declarations import Sequence as SequenceCheck
from analytics.quality.partials import Partial
from streams.rollup.batch import Batch

ALL_SOURCES = "all"
"""Source of a result that is about several."""

_PROPERTY = "properties."


class Place(NamedTuple):
    """Where a partial belongs. `window` is its start in microseconds since the epoch."""

    partition: int
    check: str
    source: str
    window: int


Observed = Iterator[tuple[Place, Partial]]


def observe(topic: str, declared: Sequence[Check], batch: Batch) -> Observed:
    """The partials that a batch of one topic adds. Events without canonical ids, which the rollup sets aside, are in
    none.
    """
    reading = [check for check in declared if topic in check.topics]
    frame = _frame(batch, _properties(reading))
    for check in reading:
        yield from _observers(check, frame, topic)


def window_of(instant: int, check: Check) -> int:
    """Start of the window that an instant lies in, both in microseconds since the epoch."""
    return instant // check.window_micros * check.window_micros


def _observers(check: Check, frame: pl.DataFrame, topic: str) -> Observed:
    match check:
        case CrossSource():
            for side, name in ((check.left, "left"), (check.right, "right")):
                if side.topic == topic:
                    yield from _members(check, _of_side(side, frame), name)
        case SequenceCheck():
            yield from _balances(check, _chosen(check, frame).filter(pl.col("kind").is_in(list(check.signs))))
        case OneTopic():
            yield from _flags(check, _chosen(check, frame))


def _flags(check: Check, events: pl.DataFrame) -> Observed:
    """Records, flagged ones and categories of the windows that are open at each event's place."""
    events = events.with_columns(window=_window(check))
    events = events.filter(pl.col("window") + check.window_micros > pl.col("bound"))
    if not isinstance(check, Uniqueness):
        events = events.filter("counted")
    if isinstance(check, Drift):
        yield from _categories(check, events)
        return
    examined, flagged = _rule(check, events)
    told = events.select("partition", "source", "window", flagged=flagged).filter(examined)
    for partition, source, window, records, count in (
        told.group_by("partition", "source", "window").agg(pl.len(), pl.col("flagged").sum()).iter_rows()
    ):
        yield Place(partition, check.name, source, window), Partial(records, count)


def _rule(check: Check, events: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Which events are examined, and which are not as they should be."""
    every = pl.Series(np.ones(events.height, dtype=np.bool_))
    match check:
        case Completeness():
            column = events[check.field]
            missing = column.is_null()
            if column.dtype == pl.String:
                missing = missing | (column.fill_null("").str.strip_chars() == "")
            return every, missing
        case Uniqueness():
            return every, ~events["counted"]
        case Validity(field="event_time"):
            ahead = 1_000_000 * (check.ahead_seconds or 0)
            return every, events["event_time"] > events["ingested_at"] + ahead
        case Validity():
            column = events[check.field]
            return column.is_not_null(), ~column.is_in(_valid_values(check, column).implode())
        case Volume() | KnownAccounts():
            return every, ~every
    raise AssertionError(check)


def _valid_values(check: Validity, column: pl.Series) -> pl.Series:
    """Of a column's different values those that are valid."""
    is_valid = _validator(check)
    distinct = column.drop_nulls().unique()
    return distinct.filter(pl.Series([is_valid(value) for value in distinct.to_list()], dtype=pl.Boolean))


def _validator(check: Validity) -> Callable[[Any], bool]:
    if check.one_of:
        return frozenset(check.one_of).__contains__
    if check.pattern is not None:
        pattern = re.compile(check.pattern)
        return lambda text: pattern.fullmatch(text) is not None
    if check.code_list is not None:
        return lambda text: text.upper() in _currencies()
    return lambda value: _is_between(value, check.minimum, check.maximum)


def _is_between(value: Any, minimum: Decimal | None, maximum: Decimal | None) -> bool:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    return number.is_finite() and (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


@cache
def _currencies() -> frozenset[str]:
    import pycountry

    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


def _categories(check: Drift, events: pl.DataFrame) -> Observed:
    category = pl.col(check.field).cast(pl.String).alias("category")
    told = events.select("partition", "source", "window", category).drop_nulls()
    counted = told.group_by("partition", "source", "window", "category").len()
    for (partition, source, window), rows in counted.group_by("partition", "source", "window"):
        counts = dict(rows.select("category", "len").iter_rows())
        yield Place(int(partition), check.name, str(source), int(window)), Partial(sum(counts.values()), 0, counts)


def _members(check: CrossSource, events: pl.DataFrame, side: str) -> Observed:
    events = events.select("partition", "account_id", window=_first_open(check))
    for (partition, window), rows in events.unique().group_by("partition", "window"):
        accounts = frozenset(rows["account_id"].to_list())
        place = Place(int(partition), check.name, ALL_SOURCES, int(window))
        yield place, Partial(left=accounts) if side == "left" else Partial(right=accounts)


def _balances(check: SequenceCheck, events: pl.DataFrame) -> Observed:
    events = events.filter("counted").select(
        "partition",
        "source",
        "account_id",
        window=_first_open(check),
        sign=pl.when(pl.col("kind") == check.earlier).then(1).otherwise(-1),
    )
    summed = events.group_by("partition", "source", "window", "account_id").agg(pl.col("sign").sum(), pl.len())
    for (partition, source, window), rows in summed.group_by("partition", "source", "window"):
        balances = {account: sign for account, sign in rows.select("account_id", "sign").iter_rows() if sign}
        place = Place(int(partition), check.name, str(source), int(window))
        yield place, Partial(int(rows["len"].sum()), 0, balances, left=frozenset(rows["account_id"].to_list()))


def _window(check: Check) -> pl.Expr:
    return pl.col("event_time") // check.window_micros * check.window_micros


def _first_open(check: Check) -> pl.Expr:
    """The event's window, or the one that the watermark lies in where that is later."""
    bound = pl.col("bound") // check.window_micros * check.window_micros
    return pl.max_horizontal(_window(check), pl.when(pl.col("bound") > 0).then(bound).otherwise(_window(check)))


def _chosen(check: OneTopic, frame: pl.DataFrame) -> pl.DataFrame:
    if check.kinds:
        frame = frame.filter(pl.col("kind").is_in(check.kinds))
    return frame.filter(pl.col("source").is_in(check.sources)) if check.sources else frame


def _of_side(side: Side, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("kind").is_in(side.kinds))


def _properties(declared: Sequence[Check]) -> list[str]:
    fields = {check.field for check in declared if isinstance(check, Completeness | Validity | Drift)}
    return sorted(field for field in fields if field.startswith(_PROPERTY))


def _frame(batch: Batch, properties: Sequence[str]) -> pl.DataFrame:
    """The batch's valid events, instants as microseconds, with a column a property; null where an event has none."""
    instants = [pl.col(name).to_physical() for name in ("event_time", "ingested_at")]
    frame = batch.events.with_columns(*instants, bound=pl.Series(batch.watermark, dtype=pl.Int64)).filter(
        pl.Series(batch.valid)
    )
    frame = frame.with_row_index("row")
    entries = frame.select("row", "properties").explode("properties").unnest("properties")
    for field in properties:
        found = entries.filter(pl.col("key") == field.removeprefix(_PROPERTY)).unique("row", keep="last")
        frame = frame.join(found.select("row", pl.col("value").alias(field)), on="row", how="left")
    return frame.drop("row", "properties")
