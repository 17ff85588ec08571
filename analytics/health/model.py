"""A health model, from the mapping that its YAML file holds. Files are read by `models.loader`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from analytics.health.bands import Band, Hysteresis
from analytics.health.curve import Curve
from analytics.health.day_values import MICRO
from analytics.health.measures import MEASURES, InvalidModelError, Measure
from analytics.health.segments import EVERYONE, Segment, parse_segment
from analytics.health.staleness import Staleness

UNKNOWN_BAND = "unknown"
"""Band of an account without a score."""


@dataclass(frozen=True)
class Signal:
    """One signal: what it measures, the curve to points and its weight among the signals that apply.

    Attributes:
        expected: whether every account should have it, so that coverage falls where it does not apply.
        staleness: what becomes of it while its source is out.
    """

    name: str
    label: str
    group: str
    unit: str
    weight: int
    measure: Measure
    applies_after_first: str | None
    curve: Curve
    expected: bool
    staleness: Staleness

    @property
    def metrics(self) -> frozenset[str]:
        """Metrics that its value is made of."""
        return self.measure.summed | self.measure.levels


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
    hysteresis: Hysteresis
    trend: TrendRule
    segments: tuple[Segment, ...]
    definition: Mapping[str, Any]

    @property
    def total_weight(self) -> int:
        """Sum of all weights."""
        return sum(signal.weight for signal in self.signals)

    @property
    def segment_names(self) -> tuple[str, ...]:
        """By segment code."""
        return (EVERYONE, *(segment.name for segment in self.segments))

    @property
    def warm_up_ticks(self) -> int:
        """Ticks before a row's own whose scores its trend and band depend on."""
        return max(self.trend.ticks, self.hysteresis.ticks) - 1

    @property
    def lookback_days(self) -> int:
        """Of complete inputs, the row of tick T depends on no day before `T - lookback_days`, the first days apart."""
        return max(signal.measure.lookback_days for signal in self.signals) + self.warm_up_ticks

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
            in x or contradict their polarity, bands out of order, sums that could overflow.
    """
    groups = tuple(group["name"] for group in definition["groups"])
    _require_unique("Group", groups)
    staleness = _staleness(Staleness(), definition.get("staleness", {}))
    signals = tuple(_signal(entry, groups, staleness) for entry in definition["signals"])
    _require_unique("Signal", tuple(signal.name for signal in signals))
    trend = definition["trend"]
    bands = _bands(definition["bands"])
    model = HealthModel(
        version=definition["version"],
        label=definition["label"],
        groups=groups,
        signals=signals,
        bands=bands,
        hysteresis=_hysteresis(definition.get("hysteresis"), bands),
        trend=TrendRule(trend["recent_ticks"], trend["earlier_ticks"], micro_points(trend["noise_points"])),
        segments=_segments(definition.get("segments", ()), signals),
        definition=definition,
    )
    for metric in sorted(model.summed & model.levels):
        raise InvalidModelError(f"Metric {metric} is added up by one signal and taken as a level by another.")
    return model


def _signal(entry: Mapping[str, Any], groups: tuple[str, ...], staleness: Staleness) -> Signal:
    name = entry["name"]
    if entry["group"] not in groups:
        raise InvalidModelError(f"Signal {name}: group {entry['group']} is not one of {', '.join(groups)}.")
    points = tuple((float(x), float(y)) for x, y in entry["curve"])
    for (before, _), (after, _) in pairwise(points):
        if after <= before:
            raise InvalidModelError(f"Signal {name}: the curve's values must rise, but {after:g} follows {before:g}.")
    _require_polarity(name, entry.get("polarity", "either"), [y for _, y in points])
    return Signal(
        name=name,
        label=entry["label"],
        group=entry["group"],
        unit=entry["unit"],
        weight=entry["weight"],
        measure=MEASURES[entry["comparison"]].parse(entry),
        applies_after_first=entry.get("applies_after_first"),
        curve=Curve(points),
        expected=entry["null_policy"] == "missing",
        staleness=_staleness(staleness, entry.get("staleness", {})),
    )


def _require_polarity(name: str, polarity: str, points: list[float]) -> None:
    steps = [after - before for before, after in pairwise(points)]
    wrong = {"higher_is_better": min(steps) < 0, "lower_is_better": max(steps) > 0, "either": False}[polarity]
    if wrong:
        raise InvalidModelError(f"Signal {name}: polarity is {polarity}, but its curve goes the other way somewhere.")


def _staleness(default: Staleness, entry: Mapping[str, Any]) -> Staleness:
    rule = Staleness(
        entry.get("limit_days", default.limit_days),
        entry.get("hold_days", default.hold_days),
        entry.get("decay_days", default.decay_days),
        float(entry.get("prior", default.prior)),
    )
    if rule.hold_days < rule.limit_days:
        raise InvalidModelError(f"staleness: hold_days ({rule.hold_days}) is less than limit_days ({rule.limit_days}).")
    return rule


def _hysteresis(entry: Mapping[str, Any] | None, bands: tuple[Band, ...]) -> Hysteresis:
    if entry is None:
        return Hysteresis()
    margin = micro_points(entry["points"])
    for above, below in pairwise(bands[:-1]):
        if below.lower + margin >= above.lower:
            raise InvalidModelError(
                f"hysteresis: {entry['points']} points reach from band {below.name} over {above.name}."
            )
    if bands[0].lower + margin > 100 * MICRO:
        raise InvalidModelError(f"hysteresis: band {bands[0].name} could never be entered again.")
    return Hysteresis(margin, entry["ticks"])


def _segments(entries: Iterable[Mapping[str, Any]], signals: tuple[Signal, ...]) -> tuple[Segment, ...]:
    segments = tuple(parse_segment(entry) for entry in entries)
    _require_unique("Segment", (*(segment.name for segment in segments), EVERYONE))
    known = {signal.name: signal.weight for signal in signals}
    for segment in segments:
        for signal in segment.weights:
            if signal not in known:
                raise InvalidModelError(f"Segment {segment.name} weighs {signal}, which is no signal of the model.")
        if not any((known | dict(segment.weights)).values()):
            raise InvalidModelError(f"Segment {segment.name} leaves no signal with a weight.")
        if segment.least_arr is not None and segment.below_arr is not None and segment.least_arr >= segment.below_arr:
            raise InvalidModelError(
                f"Segment {segment.name}: no ARR is from {segment.least_arr} and below {segment.below_arr}."
            )
    return segments


def _bands(entries: list[Mapping[str, Any]]) -> tuple[Band, ...]:
    bands = tuple(Band(entry["name"], micro_points(entry["from"])) for entry in entries)
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


def micro_points(points: float) -> int:
    """Points as an integer of 10^-6 points.

    Raises:
        InvalidModelError: it has more than six decimals.
    """
    scaled = Decimal(str(points)) * MICRO
    if scaled != int(scaled):
        raise InvalidModelError(f"{points} points has more than six decimals.")
    return int(scaled)
