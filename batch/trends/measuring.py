"""Seasons and trends of series of a file, as plain values for people and programs."""

import csv
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.forecasting.series import filled
from analytics.seasons.decomposition import Decomposition, decompose
from analytics.seasons.holidays import holiday_effects
from analytics.seasons.periods import Floats, find_periods
from analytics.trends.change_points import change_points
from analytics.trends.drill_down import drill_down
from analytics.trends.slopes import RunningSlope
from batch.forecast.calendar import written
from batch.forecast.table import RegularSeries
from vitals.errors import UserError

MICRO = 1_000_000


def seasons_of(one: RegularSeries, periods: Sequence[int], country: str | None) -> dict[str, Any]:
    """The seasons that a series has, and with a country what its holidays do.

    Raises:
        UserError: holidays of a series that is not daily, or of a country that nobody knows.
    """
    values, found, parts = _parts(one, periods)
    return {
        "series": one.name,
        "step": one.rhythm.name,
        "values": len(values),
        "seasons": [
            {
                "period": each.length,
                "p_value": each.p_value,
                "strength": round(parts.strengths.get(each.length, 0.0), 4),
            }
            for each in found
        ],
        "holidays": [] if country is None else _holidays(one, values, parts, country),
    }


def trend_of(one: RegularSeries, periods: Sequence[int], window: int) -> dict[str, Any]:
    """The slope of the newest window, and the change points of the whole, both without season."""
    values, _, parts = _parts(one, periods)
    adjusted = values - sum(parts.seasons.values(), np.zeros(len(values)))
    running = RunningSlope(window)
    for value in np.round(adjusted * MICRO).astype(np.int64).tolist():
        running.step(value)
    slope = running.slope()
    return {
        "series": one.name,
        "step": one.rhythm.name,
        "slope": None
        if slope is None
        else {"value": slope.value / MICRO, "band": slope.band / MICRO, "arrow": slope.arrow},
        "change_points": [
            {"at": _time(one, each.place), "before": each.before, "after": each.after, "size": each.size}
            for each in change_points(adjusted)
        ],
    }


def movement(series: Sequence[RegularSeries], window: int) -> list[dict[str, Any]]:
    """What each series adds to the movement of the whole between the newest two windows of the file's last time."""
    ends = [one.instant(0) for one in series]
    last = max(ends)
    before, after = ({}, {})  # type: tuple[dict[tuple[str, ...], int], dict[tuple[str, ...], int]]
    for one, end in zip(series, ends, strict=True):
        missing = one.rhythm.place(end, last) or 0
        told = np.concatenate([np.nan_to_num(one.values), np.zeros(missing)])[-2 * window :]
        told = np.concatenate([np.zeros(2 * window - len(told)), told])
        micro = np.round(told * MICRO).astype(np.int64)
        before[(one.name,)], after[(one.name,)] = int(micro[:window].sum()), int(micro[window:].sum())
    parts = drill_down(before, after, 1)
    return [
        {
            "series": part.key[0],
            "before": part.before / MICRO,
            "after": part.after / MICRO,
            "change": part.change / MICRO,
        }
        for part in parts
    ]


def write_components(path: Path, series: Sequence[RegularSeries], periods: Sequence[int]) -> None:
    """Every value of every series with its trend, the sum of its seasons, and the remainder.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["series", "timestamp", "value", "trend", "season", "remainder"])
            for one in series:
                values, _, parts = _parts(one, periods)
                season = sum(parts.seasons.values(), np.zeros(len(values)))
                for place in range(len(values)):
                    numbers = (values[place], parts.trend[place], season[place], parts.remainder[place])
                    writer.writerow([one.name, _time(one, place), *(f"{number:.10g}" for number in numbers)])
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error


def _parts(one: RegularSeries, periods: Sequence[int]) -> tuple[Floats, list[Any], Decomposition]:
    candidates = periods or one.rhythm.suggested_seasons()
    values = filled(one.values, max(candidates, default=1))
    found = find_periods(values, candidates)
    return values, found, decompose(values, [each.length for each in found])


def _holidays(one: RegularSeries, values: Floats, parts: Decomposition, country: str) -> list[dict[str, Any]]:
    if one.rhythm.length != timedelta(days=1):
        raise UserError("Holidays are days: --country needs a daily series.")
    days = [(one.rhythm.next_after(one.start, place)).date() for place in range(len(values))]
    expected = parts.trend + sum(parts.seasons.values(), np.zeros(len(values)))
    try:
        effects = holiday_effects(days, values, expected, country)
    except NotImplementedError as error:
        raise UserError(f"No holidays of {country} are known: name a country by its code, such as US or DE.") from error
    return [
        {"name": each.name, "days": each.days, "effect": each.effect, "lower": each.lower, "upper": each.upper}
        for each in effects
    ]


def _time(one: RegularSeries, place: int) -> str:
    return written(one.rhythm.next_after(one.start, place), one.form)
