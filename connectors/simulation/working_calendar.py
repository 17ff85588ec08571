"""When accounts work: their country, its time zone, weekend and public holidays, and the seasons of their trade."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from connectors.simulation.calendar import DAY
from connectors.simulation.identifiers import hashed

Floats = npt.NDArray[np.float64]

_WEEKEND_SHARE, _HOLIDAY_SHARE = 0.1, 0.08
"""What a day off carries of a working day's use."""


@dataclass(frozen=True, slots=True)
class Country:
    """Days off are weekdays (Monday is 0) and dates of a year."""

    code: str
    time_zone: str
    weekend: tuple[int, int] = (5, 6)
    holidays: Callable[[int], frozenset[date]] = lambda _year: frozenset()


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    """The `number`-th weekday of a month, or counted from its end where negative."""
    if number > 0:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (number - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(1)
    return last - timedelta((last.weekday() - weekday) % 7 + 7 * (-number - 1))


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the anonymous (Meeus, Jones, Butcher) rule."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


def _dates(year: int, *days: tuple[int, int]) -> set[date]:
    return {date(year, month, day) for month, day in days}


@cache
def _united_states(year: int) -> frozenset[date]:
    thanksgiving = _nth(year, 11, 3, 4)
    moving = {_nth(year, 1, 0, 3), _nth(year, 5, 0, -1), _nth(year, 9, 0, 1), thanksgiving, thanksgiving + timedelta(1)}
    return frozenset(moving | _dates(year, (1, 1), (6, 19), (7, 4), (12, 24), (12, 25), (12, 31)))


@cache
def _brazil(year: int) -> frozenset[date]:
    carnival = _easter(year) - timedelta(47)
    moving = {carnival, carnival - timedelta(1), _easter(year) - timedelta(2)}
    return frozenset(moving | _dates(year, (1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 15), (12, 25)))


@cache
def _britain(year: int) -> frozenset[date]:
    easter = _easter(year)
    moving = {easter - timedelta(2), easter + timedelta(1), _nth(year, 5, 0, 1), _nth(year, 5, 0, -1)}
    return frozenset(moving | {_nth(year, 8, 0, -1)} | _dates(year, (1, 1), (12, 25), (12, 26)))


@cache
def _germany(year: int) -> frozenset[date]:
    moving = {_easter(year) + timedelta(days) for days in (-2, 1, 39, 50)}
    return frozenset(moving | _dates(year, (1, 1), (5, 1), (10, 3), (12, 24), (12, 25), (12, 26), (12, 31)))


@cache
def _france(year: int) -> frozenset[date]:
    moving = {_easter(year) + timedelta(days) for days in (1, 39, 50)}
    fixed = _dates(year, (1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
    return frozenset(moving | fixed)


@cache
def _saudi_arabia(year: int) -> frozenset[date]:
    return frozenset(_dates(year, (2, 22), (9, 23)))


@cache
def _japan(year: int) -> frozenset[date]:
    golden_week = _dates(year, (4, 29), (5, 3), (5, 4), (5, 5))
    turn_of_year = _dates(year, (1, 1), (1, 2), (1, 3), (12, 30), (12, 31))
    return frozenset(golden_week | turn_of_year | _dates(year, (2, 11), (2, 23), (8, 11), (11, 3), (11, 23)))


@cache
def _australia(year: int) -> frozenset[date]:
    moving = {_easter(year) - timedelta(2), _easter(year) + timedelta(1), _nth(year, 6, 0, 2)}
    return frozenset(moving | _dates(year, (1, 1), (1, 26), (4, 25), (12, 25), (12, 26)))


@cache
def _india(year: int) -> frozenset[date]:
    return frozenset(_dates(year, (1, 26), (8, 15), (10, 2), (12, 25)))


_COUNTRIES: Mapping[str, tuple[tuple[Country, int], ...]] = {
    "AMER": (
        (Country("US", "America/New_York", holidays=_united_states), 45),
        (Country("US", "America/Los_Angeles", holidays=_united_states), 40),
        (Country("BR", "America/Sao_Paulo", holidays=_brazil), 15),
    ),
    "EMEA": (
        (Country("GB", "Europe/London", holidays=_britain), 38),
        (Country("DE", "Europe/Berlin", holidays=_germany), 32),
        (Country("FR", "Europe/Paris", holidays=_france), 25),
        (Country("SA", "Asia/Riyadh", (4, 5), holidays=_saudi_arabia), 5),
    ),
    "APAC": (
        (Country("JP", "Asia/Tokyo", holidays=_japan), 40),
        (Country("AU", "Australia/Sydney", holidays=_australia), 35),
        (Country("IN", "Asia/Kolkata", holidays=_india), 25),
    ),
}

COUNTRIES = tuple(country for shares in _COUNTRIES.values() for country, _ in shares)


def country_of(external_id: str, region: str) -> int:
    """The place in `COUNTRIES` of the country and zone where the account works."""
    shares = _COUNTRIES[region]
    place = hashed(f"country:{external_id}") % sum(weight for _, weight in shares)
    for country, weight in shares:
        if place < weight:
            return COUNTRIES.index(country)
        place -= weight
    raise AssertionError("the weights cover every place")


def working_share(midnight: int, days: int) -> Floats:
    """What each day carries of a working day's use, by [country, day]; `midnight` begins the first, UTC."""
    dates = [datetime.fromtimestamp(midnight + day * DAY, UTC).date() for day in range(days)]
    share = np.ones((len(COUNTRIES), days))
    for place, country in enumerate(COUNTRIES):
        for day, when in enumerate(dates):
            if when.weekday() in country.weekend:
                share[place, day] = _WEEKEND_SHARE
            elif when in country.holidays(when.year):
                share[place, day] = _HOLIDAY_SHARE
            elif country.code in ("DE", "FR", "GB") and when.month == 8:
                share[place, day] = 0.8
            elif when.month == 12 and when.day > 22:
                share[place, day] = 0.5
    return share


def utc_offsets(midnight: int, days: int) -> Floats:
    """Hours that local time is ahead of UTC at noon, by [country, day]."""
    offsets = np.zeros((len(COUNTRIES), days))
    for place, country in enumerate(COUNTRIES):
        zone = ZoneInfo(country.time_zone)
        for day in range(days):
            ahead = datetime.fromtimestamp(midnight + day * DAY + DAY // 2, zone).utcoffset() or timedelta()
            offsets[place, day] = ahead.total_seconds() / 3_600
    return offsets


SEASONS = ("steady", "academic", "retail")


def seasonal_share(midnight: int, days: int) -> Floats:
    """What a season adds or takes, by [season, day]: no terms in summer, or a rush before Christmas."""
    months = [datetime.fromtimestamp(midnight + day * DAY, UTC).month for day in range(days)]
    academic = {6: 0.45, 7: 0.2, 8: 0.3, 12: 0.6}
    retail = {10: 1.2, 11: 1.7, 12: 1.9, 1: 0.7, 2: 0.7}
    return np.array([[1.0] * days, [academic.get(m, 1.1) for m in months], [retail.get(m, 0.95) for m in months]])
