"""What a signal measures at each tick. One class a comparison; a new comparison is one more class in `MEASURES`.

Each yields, for accounts times ticks, the values (float64) and where they apply. Sums are exact int64 of 10^-6 units;
they are converted to float64 (to nearest) only for the one division that each formula below states, with the products
that it states. `float()` marks the conversions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from analytics.health.day_values import DAY_VALUE_LIMIT, MICRO, DayValues, Floats, Ints, Mask


class InvalidModelError(ValueError):
    """A health model that parses but cannot be computed; the message says which signal and why."""


@dataclass(frozen=True)
class Term:
    """A metric times a whole number."""

    metric: str
    factor: int = 1


class Measure(Protocol):
    """Value of a signal, before its curve."""

    @classmethod
    def parse(cls, signal: Mapping[str, Any]) -> Self:
        """From the signal's entry in the model, which already fits the JSON schema."""
        ...

    @property
    def summed(self) -> frozenset[str]:
        """Metrics that are added up."""
        ...

    @property
    def levels(self) -> frozenset[str]:
        """Metrics whose newest value holds until the next."""
        ...

    @property
    def lookback_days(self) -> int:
        """A value at tick T depends on no day before `T - lookback_days`, `first_day` and `first_seen` apart."""
        ...

    def evaluate(self, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
        """Values and applicability at the ticks `first_tick` to `last_tick`: [accounts, ticks] each."""
        ...


@dataclass(frozen=True)
class Absolute:
    """A sum over the window, or a quotient of two, over `divide_by` (for the unit: 86,400 makes days of seconds).

    `float(sum) / (1e6 * float(divide_by))`, or `float(numerator) / (float(denominator) * float(divide_by))`. A quotient
    applies where the denominator is positive and the plain sum of its metrics (without factors) reaches `minimum_total`
    units.
    """

    window_days: int
    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...]
    minimum_total: int
    divide_by: int

    @classmethod
    def parse(cls, signal: Mapping[str, Any]) -> Self:
        numerator, denominator = _terms(signal["inputs"]), _terms(signal.get("denominator", ()))
        for terms in (numerator, denominator):
            _require_room(signal, sum(abs(term.factor) for term in terms) * signal["window_days"], terms)
        return cls(
            signal["window_days"],
            numerator,
            denominator,
            signal.get("minimum_total", 0),
            signal.get("divide_by", 1),
        )

    @property
    def summed(self) -> frozenset[str]:
        return frozenset(term.metric for term in self.numerator + self.denominator)

    @property
    def levels(self) -> frozenset[str]:
        return frozenset()

    @property
    def lookback_days(self) -> int:
        return self.window_days

    def evaluate(self, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
        numerator = _weighted(days, self.numerator, self.window_days, first_tick, last_tick)
        if not self.denominator:
            return numerator.astype(np.float64) / (1e6 * float(self.divide_by)), np.ones(
                numerator.shape, dtype=np.bool_
            )
        denominator = _weighted(days, self.denominator, self.window_days, first_tick, last_tick)
        plain = tuple(Term(term.metric) for term in self.denominator)
        total = _weighted(days, plain, self.window_days, first_tick, last_tick)
        applies = (denominator > 0) & (total >= self.minimum_total * MICRO)
        divisor = denominator.astype(np.float64) * float(self.divide_by)
        return _quotient(numerator.astype(np.float64), divisor, applies), applies


@dataclass(frozen=True)
class RatioToBaseline:
    """The window's daily mean over that of the account's own days before it.

    With `b` = the baseline's days that are not before the account's first day (at most `baseline_days`), W = sum of the
    window, B = sum of the baseline: `(float(W) * float(b)) / (float(B) * float(window_days))`. Applies where
    `b >= minimum_days` and `B >= minimum_total` units: below that there is too little to compare with.
    """

    window_days: int
    terms: tuple[Term, ...]
    baseline_days: int
    minimum_days: int
    minimum_total: int

    @classmethod
    def parse(cls, signal: Mapping[str, Any]) -> Self:
        terms, window_days, baseline = _terms(signal["inputs"]), signal["window_days"], signal["baseline"]
        if baseline["minimum_days"] > baseline["days"]:
            raise InvalidModelError(f"Signal {signal['name']}: baseline.minimum_days is more than baseline.days.")
        _require_room(signal, sum(abs(term.factor) for term in terms) * max(window_days, baseline["days"]), terms)
        return cls(window_days, terms, baseline["days"], baseline["minimum_days"], baseline["minimum_total"])

    @property
    def summed(self) -> frozenset[str]:
        return frozenset(term.metric for term in self.terms)

    @property
    def levels(self) -> frozenset[str]:
        return frozenset()

    @property
    def lookback_days(self) -> int:
        return self.window_days + self.baseline_days

    def evaluate(self, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
        window = _weighted(days, self.terms, self.window_days, first_tick, last_tick)
        baseline = _weighted(
            days, self.terms, self.baseline_days, first_tick - self.window_days, last_tick - self.window_days
        )
        ticks = np.arange(first_tick, last_tick + 1, dtype=np.int64)
        lived = np.clip(ticks - self.window_days - days.first_day[:, None], 0, self.baseline_days)
        applies = (lived >= self.minimum_days) & (baseline >= self.minimum_total * MICRO)
        numerator = window.astype(np.float64) * lived.astype(np.float64)
        divisor = baseline.astype(np.float64) * float(self.window_days)
        return _quotient(numerator, divisor, applies), applies


@dataclass(frozen=True)
class RatioToPast:
    """A level now over the same level `window_days` earlier: `float(now) / float(then)`.

    A level holds for `carry_days` days at most. Applies where both are known and the earlier one is above 0.
    """

    window_days: int
    metric: str
    carry_days: int

    @classmethod
    def parse(cls, signal: Mapping[str, Any]) -> Self:
        return cls(signal["window_days"], signal["inputs"][0]["metric"], signal["carry_days"])

    @property
    def summed(self) -> frozenset[str]:
        return frozenset()

    @property
    def levels(self) -> frozenset[str]:
        return frozenset({self.metric})

    @property
    def lookback_days(self) -> int:
        return self.window_days + self.carry_days

    def evaluate(self, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
        levels, known = days.last_level(self.metric, self.carry_days, first_tick - self.window_days, last_tick)
        now, then = levels[:, self.window_days :], levels[:, : -self.window_days]
        applies = known[:, self.window_days :] & known[:, : -self.window_days] & (then > 0)
        return _quotient(now.astype(np.float64), then.astype(np.float64), applies), applies


@dataclass(frozen=True)
class DaysSince:
    """Whole days since the newest day with a value other than 0; `window_days` where it is that long or longer."""

    window_days: int
    metric: str

    @classmethod
    def parse(cls, signal: Mapping[str, Any]) -> Self:
        return cls(signal["window_days"], signal["inputs"][0]["metric"])

    @property
    def summed(self) -> frozenset[str]:
        return frozenset({self.metric})

    @property
    def levels(self) -> frozenset[str]:
        return frozenset()

    @property
    def lookback_days(self) -> int:
        return self.window_days

    def evaluate(self, days: DayValues, first_tick: int, last_tick: int) -> tuple[Floats, Mask]:
        since = days.days_since(self.metric, self.window_days, first_tick, last_tick)
        return since.astype(np.float64), np.ones(since.shape, dtype=np.bool_)


MEASURES: Mapping[str, type[Measure]] = {
    "absolute": Absolute,
    "ratio_to_baseline": RatioToBaseline,
    "ratio_to_past": RatioToPast,
    "days_since": DaysSince,
}


def _terms(entries: Iterable[Mapping[str, Any]]) -> tuple[Term, ...]:
    return tuple(Term(entry["metric"], entry.get("factor", 1)) for entry in entries)


def _require_room(signal: Mapping[str, Any], days_times_factors: int, terms: tuple[Term, ...]) -> None:
    if days_times_factors * DAY_VALUE_LIMIT > np.iinfo(np.int64).max:
        metrics = ", ".join(term.metric for term in terms)
        raise InvalidModelError(
            f"Signal {signal['name']}: windows and factors of {metrics} are so large that sums could overflow 64 bits; "
            f"days times factors must stay below {np.iinfo(np.int64).max // DAY_VALUE_LIMIT}."
        )


def _weighted(days: DayValues, terms: tuple[Term, ...], window_days: int, first_tick: int, last_tick: int) -> Ints:
    total = np.zeros((days.accounts, last_tick - first_tick + 1), dtype=np.int64)
    for term in terms:
        total += term.factor * days.totals(term.metric, window_days, first_tick, last_tick)
    return total


def _quotient(numerator: Floats, divisor: Floats, applies: Mask) -> Floats:
    """`numerator / divisor` where it applies, 0 elsewhere."""
    return np.divide(numerator, divisor, out=np.zeros_like(numerator), where=applies)
