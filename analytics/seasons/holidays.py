"""What public holidays do to a daily series. Pure; the calendar is that of the `holidays` package."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from analytics.seasons.periods import Floats


@dataclass(frozen=True)
class HolidayEffect:
    """The mean distance of holidays from what trend and season say, as a share of it.

    Attributes:
        lower, upper: bounds that hold the true effect with 95 percent (normal, from the scatter between holidays).
    """

    name: str
    days: int
    effect: float
    lower: float
    upper: float


def holiday_effects(days: Sequence[date], values: Floats, expected: Floats, country: str) -> list[HolidayEffect]:
    """Effects of each holiday of a country that the days hold, and of all together (`""`), the strongest first.

    expected: what trend and season say of each day, above 0 where an effect is to be known.

    Raises:
        NotImplementedError: the package knows no such country.
    """
    import holidays

    calendar = holidays.country_holidays(country, years=range(days[0].year, days[-1].year + 1))
    shares: dict[str, list[float]] = {"": []}
    for day, value, usual in zip(days, values.tolist(), expected.tolist(), strict=True):
        if day in calendar and usual > 0:
            shares.setdefault(calendar[day], []).append(value / usual - 1)
            shares[""].append(value / usual - 1)
    found = [_effect(name, each) for name, each in shares.items() if each]
    return sorted(found, key=lambda one: -abs(one.effect))


def _effect(name: str, shares: list[float]) -> HolidayEffect:
    mean = float(np.mean(shares))
    reach = 1.96 * float(np.std(shares, ddof=1)) / len(shares) ** 0.5 if len(shares) > 1 else float("inf")
    return HolidayEffect(name, len(shares), mean, mean - reach, mean + reach)
