"""The health formula of docs/health.md in plain Python, written from that page: no import of Vitals, no numpy.

Days and ticks are whole numbers of days since 1970-01-01 UTC; tick T is the midnight that ends day T - 1. Day values
are integers of 10^-6 of the metric's unit: `windows[metric][day]`.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

MICRO = 1_000_000

Windows = dict[str, dict[int, int]]
Model = dict[str, Any]
Informed = Callable[[dict[str, Any], int], int]
Weights = Callable[[dict[str, Any], int], int]

STALENESS = {"limit_days": 1, "hold_days": 7, "decay_days": 21, "prior": 50}


def first_day(windows: Windows) -> int | None:
    """Day of the account's first window of any metric."""
    return min((day for days in windows.values() for day in days), default=None)


def score_at(
    model: Model, windows: Windows, tick: int, informed: Informed | None = None, weights: Weights | None = None
) -> dict[str, Any] | None:
    """Everything that Vitals publishes for a tick, as integers and floats; None where the account has no such tick.

    informed: by signal and tick, the newest tick for which the signal's input is complete; by default all is.
    weights: by signal and tick, the weight in the segment that the account is of then; by default the signal's own.
    """
    history = max(model["trend"]["recent_ticks"] + model["trend"]["earlier_ticks"], hysteresis_of(model)["ticks"])
    rows = [sums_at(model, windows, at, informed, weights) for at in range(tick - history + 1, tick + 1)]
    newest = rows[-1]
    if newest is None:
        return None
    newest["band"] = band_of(model, [None if row is None else row["score"] for row in rows])
    newest["trend"] = trend_of(model, [None if row is None else row["score"] for row in rows])
    return newest


def sums_at(
    model: Model, windows: Windows, tick: int, informed: Informed | None, weights: Weights | None
) -> dict[str, Any] | None:
    """Score, coverage, contributions and signal values of a tick."""
    first = first_day(windows)
    if first is None or tick <= first:
        return None
    values, points, statuses, own = [], [], [], []
    for signal in model["signals"]:
        weight = signal["weight"] if weights is None else weights(signal, tick)
        at = tick if informed is None else informed(signal, tick)
        value = signal_value(signal, windows, first, at) if at > first and weight > 0 else None
        rule = STALENESS | model.get("staleness", {}) | signal.get("staleness", {})
        if value is not None:
            statuses.append("stale" if tick - at > rule["limit_days"] else "fresh")
        else:
            statuses.append("missing" if signal["null_policy"] == "missing" and weight > 0 else "not_applicable")
        values.append(value)
        points.append(None if value is None else held(curve_at(signal["curve"], value), tick - at, rule))
        own.append(weight)
    applicable = sum(weight for weight, value in zip(own, values, strict=True) if value is not None)
    fresh = sum(weight for weight, status in zip(own, statuses, strict=True) if status == "fresh")
    missing = sum(weight for weight, status in zip(own, statuses, strict=True) if status == "missing")
    contributions = [
        None if counted is None else math.floor(((float(weight) * counted) * 1e6) / float(applicable))
        for weight, counted in zip(own, points, strict=True)
    ]
    return {
        "tick": tick,
        "score": sum(part for part in contributions if part is not None) if applicable else None,
        "coverage": fresh * MICRO // max(applicable + missing, 1),
        "contributions": contributions,
        "signal_values": values,
        "statuses": statuses,
        "adjustment": 0,
        "segment": "everyone",
    }


def held(points: float, age: int, rule: dict[str, Any]) -> float:
    """The points of a signal whose input was complete `age` days ago last."""
    over = min(age - rule["hold_days"], rule["decay_days"])
    if over <= 0:
        return points
    return points - (points - min(points, float(rule["prior"]))) * (float(over) / float(rule["decay_days"]))


def hysteresis_of(model: Model) -> dict[str, Any]:
    return dict(model.get("hysteresis", {"points": 0, "ticks": 1}))


def band_of(model: Model, scores: list[int | None]) -> str:
    """The band at the last of some ticks: down at a bound, up only above the margin."""
    if scores[-1] is None:
        return "unknown"
    rule = hysteresis_of(model)
    bounds = [Decimal(str(band["from"])) * MICRO for band in model["bands"][:-1]]
    margin = Decimal(str(rule["points"])) * MICRO
    band = 0
    for score in scores[-rule["ticks"] :]:
        if score is not None:
            worst = sum(score < bound + margin for bound in bounds)
            band = min(max(band, sum(score < bound for bound in bounds)), worst)
    return str(model["bands"][band]["name"])


def trend_of(model: Model, history: list[int | None]) -> str:
    """Mean of the last ticks minus the mean of those before, floored integers, against the noise."""
    rule = model["trend"]
    recent_ticks, earlier_ticks = rule["recent_ticks"], rule["earlier_ticks"]
    scores = [score for score in history[-(recent_ticks + earlier_ticks) :] if score is not None]
    if len(scores) < recent_ticks + earlier_ticks:
        return "flat"
    change = sum(scores[earlier_ticks:]) // recent_ticks - sum(scores[:earlier_ticks]) // earlier_ticks
    noise = Decimal(str(rule["noise_points"])) * MICRO
    return "up" if change > noise else "down" if change < -noise else "flat"


def curve_at(points: list[list[float]], x: float) -> float:
    """Straight lines between the points, level outside them."""
    if x < points[0][0]:
        return float(points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x < x1:
            return float(y0) + (x - float(x0)) * (float(y1) - float(y0)) / (float(x1) - float(x0))
    return float(points[-1][1])


def signal_value(signal: dict[str, Any], windows: Windows, first: int, tick: int) -> float | None:
    """The signal before its curve; None where it does not apply."""
    gate = signal.get("applies_after_first")
    if gate is not None and not any(day < tick for day in windows.get(gate, {})):
        return None
    comparisons = {
        "absolute": absolute,
        "ratio_to_baseline": ratio_to_baseline,
        "ratio_to_past": ratio_to_past,
        "days_since": days_since,
    }
    return comparisons[signal["comparison"]](signal, windows, first, tick)


def total(terms: list[dict[str, Any]], windows: Windows, start: int, end: int, factors: bool = True) -> int:
    """Sum over the days [start, end)."""
    return sum(
        (term.get("factor", 1) if factors else 1) * windows.get(term["metric"], {}).get(day, 0)
        for term in terms
        for day in range(start, end)
    )


def absolute(signal: dict[str, Any], windows: Windows, first: int, tick: int) -> float | None:
    start = tick - signal["window_days"]
    numerator = total(signal["inputs"], windows, start, tick)
    divide_by = float(signal.get("divide_by", 1))
    if "denominator" not in signal:
        return float(numerator) / (1e6 * divide_by)
    denominator = total(signal["denominator"], windows, start, tick)
    plain = total(signal["denominator"], windows, start, tick, factors=False)
    if denominator <= 0 or plain < signal["minimum_total"] * MICRO:
        return None
    return float(numerator) / (float(denominator) * divide_by)


def ratio_to_baseline(signal: dict[str, Any], windows: Windows, first: int, tick: int) -> float | None:
    baseline, split = signal["baseline"], tick - signal["window_days"]
    lived = min(max(split - first, 0), baseline["days"])
    before = total(signal["inputs"], windows, split - baseline["days"], split)
    if lived < baseline["minimum_days"] or before < baseline["minimum_total"] * MICRO:
        return None
    now = total(signal["inputs"], windows, split, tick)
    return (float(now) * float(lived)) / (float(before) * float(signal["window_days"]))


def ratio_to_past(signal: dict[str, Any], windows: Windows, first: int, tick: int) -> float | None:
    now = last_level(signal, windows, tick)
    then = last_level(signal, windows, tick - signal["window_days"])
    return None if now is None or then is None or then <= 0 else float(now) / float(then)


def last_level(signal: dict[str, Any], windows: Windows, tick: int) -> int | None:
    levels = windows.get(signal["inputs"][0]["metric"], {})
    days = [day for day in levels if tick - signal["carry_days"] <= day < tick]
    return levels[max(days)] if days else None


def days_since(signal: dict[str, Any], windows: Windows, first: int, tick: int) -> float | None:
    active = [day for day, value in windows.get(signal["inputs"][0]["metric"], {}).items() if value and day < tick]
    return float(min(tick - 1 - max(active), signal["window_days"])) if active else float(signal["window_days"])
