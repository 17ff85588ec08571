"""The verdict on one window: what was observed, what is allowed, and whether there is enough to speak."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from analytics.quality.declarations import (
    DAY_MICROS,
    Check,
    Completeness,
    CrossSource,
    Drift,
    Freshness,
    KnownAccounts,
    Sequence,
    Uniqueness,
    Validity,
    Volume,
)
from analytics.quality.partials import Partial, merge_all
from analytics.quality.statistics import jensen_shannon, robust_band

Verdict = Literal["passed", "failed", "not_enough_data"]


@dataclass(frozen=True)
class Judgement:
    """The result of one check for one window of one source.

    `observed` is a share, a count (volume), a divergence (drift) or a lag in seconds (freshness); None where nothing
    can be said. It passes from `lower` to `upper`, both inside; None is no bound.
    """

    verdict: Verdict
    records: int
    flagged: int = 0
    observed: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class History:
    """A source's statistics up to the judged window.

    windows: by window start (microseconds since the epoch), the judged one and those before that are kept.
    carried: everything before those, of a cumulative check.
    furthest: greatest instant that any stream had reached (freshness).
    """

    windows: Mapping[int, Partial]
    carried: Partial = field(default_factory=Partial)
    furthest: int | None = None


def judge(check: Check, window_start: int, history: History) -> Judgement:
    """Judges one closed or open window, whose start is in microseconds since the epoch."""
    own = history.windows.get(window_start, Partial())
    match check:
        case Completeness() | Uniqueness() | Validity() | KnownAccounts():
            return _share(own.records, own.flagged, check.minimum_records, check.maximum_share)
        case Volume():
            return _volume(check, window_start, own, history)
        case Drift():
            return _drift(check, window_start, own, history)
        case Sequence():
            so_far = _so_far(window_start, history)
            short = sum(1 for balance in so_far.counts.values() if balance < 0)
            return _share(len(so_far.left), short, check.minimum_records, check.maximum_share)
        case CrossSource():
            return _agreement(check, _so_far(window_start, history))
        case Freshness():
            return _lag(check, _so_far(window_start, history), history.furthest)


def _so_far(window_start: int, history: History) -> Partial:
    return merge_all(
        [history.carried, *(partial for start, partial in history.windows.items() if start <= window_start)]
    )


def _share(records: int, flagged: int, minimum_records: int, maximum_share: float) -> Judgement:
    observed = flagged / records if records else None
    if observed is None or records < minimum_records:
        return Judgement("not_enough_data", records, flagged, observed, None, maximum_share)
    return Judgement(_verdict(observed, None, maximum_share), records, flagged, observed, None, maximum_share)


def _volume(check: Volume, window_start: int, own: Partial, history: History) -> Judgement:
    """A day without any event counts as 0 from the source's first event in the reference on."""
    observed = float(own.records)
    first = min(
        (start for start in history.windows if start >= window_start - check.reference_micros), default=window_start
    )
    starts = [window_start - week * 7 * DAY_MICROS for week in range(1, check.weeks + 1)]
    known = [start for start in starts if start >= first]
    past = [history.windows.get(start, Partial()).records for start in known]
    if len(past) < check.minimum_weeks:
        return Judgement("not_enough_data", own.records, 0, observed)
    lower, upper = robust_band(past, check.deviations, check.least_spread)
    bounds = (lower if check.direction != "high" else None, upper if check.direction != "low" else None)
    # What is usual must be enough to speak, not what came: silence is the finding.
    enough = sorted(past)[len(past) // 2] >= check.minimum_records
    verdict = _verdict(observed, *bounds) if enough else "not_enough_data"
    return Judgement(verdict, own.records, 0, observed, *bounds)


def _drift(check: Drift, window_start: int, own: Partial, history: History) -> Judgement:
    before = [
        partial
        for start, partial in history.windows.items()
        if window_start - check.reference_micros <= start < window_start and partial.counts
    ]
    reference = merge_all(before).counts
    if own.records < check.minimum_records or not own.counts or len(before) < check.minimum_reference:
        return Judgement("not_enough_data", own.records, 0, None, None, check.maximum_divergence)
    observed = jensen_shannon(own.counts, reference)
    return Judgement(
        _verdict(observed, None, check.maximum_divergence), own.records, 0, observed, None, check.maximum_divergence
    )


def _agreement(check: CrossSource, so_far: Partial) -> Judgement:
    either, both = so_far.left | so_far.right, so_far.left & so_far.right
    apart = len(either) - len(both)
    observed = len(both) / len(either) if either else None
    if observed is None or len(either) < check.minimum_records:
        return Judgement("not_enough_data", len(either), apart, observed, check.minimum_share)
    return Judgement(_verdict(observed, check.minimum_share, None), len(either), apart, observed, check.minimum_share)


def _lag(check: Freshness, so_far: Partial, furthest: int | None) -> Judgement:
    upper = float(check.maximum_lag_seconds)
    if so_far.ended or so_far.furthest is None or furthest is None or so_far.records < check.minimum_records:
        return Judgement("not_enough_data", so_far.records, 0, None, None, upper)
    observed = (furthest - so_far.furthest) / 1e6
    return Judgement(_verdict(observed, None, upper), so_far.records, 0, observed, None, upper)


def _verdict(observed: float, lower: float | None, upper: float | None) -> Verdict:
    inside = (lower is None or observed >= lower) and (upper is None or observed <= upper)
    return "passed" if inside else "failed"
