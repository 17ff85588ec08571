"""Series of a CSV file as regular arrays."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

import numpy as np

from analytics.forecasting.candidates import Floats
from batch.forecast.calendar import Rhythm, rhythm_of, writer_like
from batch.series.timestamps import micros_of
from vitals.errors import UserError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST = 2_000_000
"""Values that a series may have once its gaps are there."""

_NO_VALUE = frozenset({"", "na", "nan", "null", "none"})


@dataclass(frozen=True)
class RegularSeries:
    """Values at every step from `start` on; NaN where the file has none.

    repeated: rows whose time another row of the series has too; the value is then their mean.
    """

    name: str
    start: datetime
    rhythm: Rhythm
    values: Floats
    form: str
    repeated: int

    def instant(self, steps_after_end: int) -> datetime:
        """The time of the value so many steps after the last one."""
        return self.rhythm.next_after(self.start, len(self.values) - 1 + steps_after_end)


def read_series(
    source: TextIO, timestamp_column: str, value_column: str, series_column: str | None
) -> list[RegularSeries]:
    """Every series of a file, in the order in which each first appears.

    Raises:
        UserError: no such column, an unreadable cell (with its line), no rows, or no regular step.
    """
    reader = csv.reader(source)
    header = next(reader, None)
    if header is None:
        raise UserError("The file is empty: it needs a line of column names.")
    names = [name.strip().lstrip("\ufeff") for name in header]
    wanted = [(timestamp_column, "--timestamp-column"), (value_column, "--value-column")]
    if series_column is not None:
        wanted.append((series_column, "--series-column"))
    for name, option in wanted:
        if name not in names:
            raise UserError(f"There is no column {name}: the file has {', '.join(names)}. Name it with {option}.")
    places = [names.index(name) for name, _ in wanted]
    rows: dict[str, list[tuple[float, float]]] = {}
    forms: dict[str, str] = {}
    for stamp, time, value, name in _cells(reader, places):
        rows.setdefault(name, []).append((time, value))
        forms[name] = stamp
    if not rows:
        raise UserError("The file has no rows below its column names.")
    rhythms: list[Rhythm] = []
    return [_regular(name, told, writer_like(forms[name]), rhythms) for name, told in rows.items()]


def _cells(reader: Iterator[list[str]], places: Sequence[int]) -> Iterator[tuple[str, float, float, str]]:
    for number, row in enumerate(reader, 2):
        if not row:
            continue
        if len(row) <= max(places):
            raise UserError(f"Line {number} has {len(row)} cells only.")
        stamp, text = row[places[0]], row[places[1]].strip()
        try:
            time = micros_of(stamp if len(stamp.strip()) != 7 else f"{stamp.strip()}-01")
        except ValueError:
            raise UserError(f"Line {number}: {stamp!r} is no timestamp, such as 2026-11-01T09:00:00Z.") from None
        try:
            value = math.nan if text.lower() in _NO_VALUE else float(text)
        except ValueError:
            raise UserError(f"Line {number}: {text!r} is no number.") from None
        yield stamp, time, value if math.isfinite(value) else math.nan, row[places[2]] if len(places) > 2 else ""


def _regular(name: str, rows: list[tuple[float, float]], form: str, rhythms: list[Rhythm]) -> RegularSeries:
    """A series of one row has the step of the file's others, days where there are none."""
    at: dict[float, list[float]] = {}
    for time, value in rows:
        at.setdefault(time, []).append(value)
    times = sorted(at)
    instants = [EPOCH + timedelta(microseconds=time) for time in times]
    try:
        rhythm = rhythm_of(instants) if len(instants) > 1 else (rhythms or [Rhythm("days", timedelta(days=1))])[0]
    except UserError as error:
        raise UserError(f"Series {name}: {error}" if name else str(error)) from None
    rhythms.append(rhythm)
    placed = [(rhythm.place(instants[0], instant), time) for instant, time in zip(instants, times, strict=True)]
    last = max(place for place, _ in placed if place is not None)
    if last >= LONGEST:
        raise UserError(f"Series {name}: a step of {rhythm.name} makes {last + 1:,} values of {len(times):,} rows.")
    values = np.full(last + 1, math.nan)
    for place, time in placed:
        if place is not None:
            told = [value for value in at[time] if not math.isnan(value)]
            values[place] = sum(told) / len(told) if told else math.nan
    return RegularSeries(name, instants[0], rhythm, values, form, len(rows) - len(times))
