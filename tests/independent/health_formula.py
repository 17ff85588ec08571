"""The health formula of docs/health.md in plain Python, written from that page: no import of Vitals, no numpy.

Days and ticks are whole numbers of days since 1970-01-01 UTC; tick T is the midnight that ends day T - 1. Day values
are integers of 10^-6 of the metric's unit: `windows[metric][day]`.
"""

import math
from decimal import Decimal
from itertools import pairwise
from typing import Any

MICRO = 1_000_000

Windows = dict[str, dict[int, int]]
Model = dict[str, Any]


def first_day(windows: Windows) -> int | None:
    """Day of the account's first window of any metric."""
    return min((day for days in windows.values() for day in days), default=None)


def score_at(model: Model, windows: Windows, tick: int) -> dict[str, Any] | None:
    """Everything that Vitals publishes for a tick, as integers and floats; None where the account has no such tick."""
    scored = without_trend(model, windows, tick)
    if scored is None:
        return None
    scored["trend"] = trend_at(model, windows, tick)
    return scored


def without_trend(model: Model, windows: Windows, tick: int) -> dict[str, Any] | None:
    """Score, band, coverage, contributions and signal values of a tick."""
    first = first_day(windows)
    if first is None or tick <= first:
        return None
    values = [signal_value(signal, windows, first, tick) for signal in model["signals"]]
    weights = [signal["weight"] for signal in model["signals"]]
    applicable = sum(weight for weight, value in zip(weights, values, strict=True) if value is not None)
    contributions = [
        None
        if value is None
        else math.floor(((float(signal["weight"]) * curve_at(signal["curve"], value)) * 1e6) / float(applicable))
        for signal, value in zip(model["signals"], values, strict=True)
    ]
    score = sum(part for part in contributions if part is not None) if applicable else None
    return {
        "tick": tick,
        "score": score,
        "band": band_of(model, score),
        "coverage": applicable * MICRO // sum(weights),
        "contributions": contributions,
        "signal_values": values,
    }


def band_of(model: Model, score: int | None) -> str:
    """The first band, highest first, whose lower bound the score reaches."""
    if score is not None:
        for band in model["bands"]:
            if Decimal(score) >= Decimal(str(band["from"])) * MICRO:
                return str(band["name"])
    return "unknown"


def trend_at(model: Model, windows: Windows, tick: int) -> str:
    """Mean of the last ticks minus the mean of those before, floored integers, against the noise."""
    rule = model["trend"]
    recent_ticks, earlier_ticks = rule["recent_ticks"], rule["earlier_ticks"]
    scores = []
    for at in range(tick - recent_ticks - earlier_ticks + 1, tick + 1):
        scored = without_trend(model, windows, at)
        if scored is None or scored["score"] is None:
            return "flat"
        scores.append(scored["score"])
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
