"""A health model, from the mapping that its YAML file holds. Files are read by `models.loader`."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from analytics.health.curve import Curve
from analytics.health.day_values import MICRO
from analytics.health.measures import MEASURES, InvalidModelError, Measure

UNKNOWN_BAND = "unknown"
"""Band of an account without a score."""


@dataclass(frozen=True)
class Signal:
    """One signal: what it measures, the curve to points and its weight among the signals that apply."""

    name: str
    label: str
    group: str
    unit: str
    weight: int
    measure: Measure
    applies_after_first: str | None
    curve: Curve

    @property
    def metrics(self) -> frozenset[str]:
        """Metrics that its value is made of."""
        return self.measure.summed | self.measure.levels


@dataclass(frozen=True)
class Band:
    """A band and its inclusive lower bound in 10^-6 points."""

    name: str
    lower: int


@dataclass(frozen=True)
class TrendRule:
    """Mean of the last `recent_ticks` scores minus that of the `earlier_ticks` before them, against `noise`.

    `noise` is in 10^-6 points; the bound itself counts as noise.
    """

    recent_ticks: int
    earlier_ticks: int
    noise: int

    @property
    def ticks(self) -> int:
        """Scores that the rule looks at."""
        return self.recent_ticks + self.earlier_ticks


@dataclass(frozen=True)
class HealthModel:
    """One version of the model. `definition` is the mapping that it was read from, for the record."""

    version: str
    label: str
    groups: tuple[str, ...]
    signals: tuple[Signal, ...]
    bands: tuple[Band, ...]
    trend: TrendRule
    definition: Mapping[str, Any]

    @property
    def total_weight(self) -> int:
        """Sum of all weights."""
        return sum(signal.weight for signal in self.signals)

    @property
    def lookback_days(self) -> int:
        """The row of tick T, trend included, depends on no day before `T - lookback_days`, the first days apart."""
        return max(signal.measure.lookback_days for signal in self.signals) + self.trend.ticks - 1

    @property
    def summed(self) -> frozenset[str]:
        """Metrics that some signal adds up."""
        return frozenset().union(*(signal.measure.summed for signal in self.signals))

    @property
    def levels(self) -> frozenset[str]:
        """Metrics of which some signal takes the newest value."""
        return frozenset().union(*(signal.measure.levels for signal in self.signals))

    @property
    def first_seen(self) -> frozenset[str]:
        """Metrics whose first window makes some signal apply."""
        return frozenset(signal.applies_after_first for signal in self.signals if signal.applies_after_first)


def parse_model(definition: Mapping[str, Any]) -> HealthModel:
    """The model of a definition that fits `models/health.schema.json`.

    Raises:
        InvalidModelError: what a JSON schema cannot say: names given twice, unknown groups, curves that do not rise
            in x, bands out of order, sums that could overflow.
    """
    groups = tuple(group["name"] for group in definition["groups"])
    _require_unique("Group", groups)
    signals = tuple(_signal(entry, groups) for entry in definition["signals"])
    _require_unique("Signal", tuple(signal.name for signal in signals))
    trend = definition["trend"]
    model = HealthModel(
        version=definition["version"],
        label=definition["label"],
        groups=groups,
        signals=signals,
        bands=_bands(definition["bands"]),
        trend=TrendRule(trend["recent_ticks"], trend["earlier_ticks"], _micro_points(trend["noise_points"])),
        definition=definition,
    )
    for metric in sorted(model.summed & model.levels):
        raise InvalidModelError(f"Metric {metric} is added up by one signal and taken as a level by another.")
    return model


def _signal(entry: Mapping[str, Any], groups: tuple[str, ...]) -> Signal:
    name = entry["name"]
    if entry["group"] not in groups:
        raise InvalidModelError(f"Signal {name}: group {entry['group']} is not one of {', '.join(groups)}.")
    points = tuple((float(x), float(y)) for x, y in entry["curve"])
    for (before, _), (after, _) in pairwise(points):
        if after <= before:
            raise InvalidModelError(f"Signal {name}: the curve's values must rise, but {after:g} follows {before:g}.")
    return Signal(
        name=name,
        label=entry["label"],
        group=entry["group"],
        unit=entry["unit"],
        weight=entry["weight"],
        measure=MEASURES[entry["comparison"]].parse(entry),
        applies_after_first=entry.get("applies_after_first"),
        curve=Curve(points),
    )


def _bands(entries: list[Mapping[str, Any]]) -> tuple[Band, ...]:
    bands = tuple(Band(entry["name"], _micro_points(entry["from"])) for entry in entries)
    _require_unique("Band", (*(band.name for band in bands), UNKNOWN_BAND))
    for above, below in pairwise(bands):
        if below.lower >= above.lower:
            raise InvalidModelError(f"Band {below.name} must start below {above.name}: list the highest band first.")
    if bands[-1].lower != 0:
        raise InvalidModelError(f"The last band, {bands[-1].name}, must start at 0, or some score has no band.")
    return bands


def _require_unique(what: str, names: tuple[str, ...]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidModelError(f"{what} {name} is named twice.")


def _micro_points(points: float) -> int:
    scaled = Decimal(str(points)) * MICRO
    if scaled != int(scaled):
        raise InvalidModelError(f"{points} points has more than six decimals.")
    return int(scaled)
