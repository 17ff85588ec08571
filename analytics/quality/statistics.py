"""The two comparisons with the past: a robust band of counts, and a distance of distributions."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

NORMAL_SCALE = 1.4826
"""Makes the median absolute deviation of normal values their standard deviation: 1 / Φ⁻¹(3/4)."""


def robust_band(past: Sequence[int], deviations: float, least_spread: float) -> tuple[float, float]:
    """Lower and upper bound of what is usual, from counts that were usual.

    With `m` the median and `s = 1.4826 · median(|x - m|)` (Rousseeuw and Croux, "Alternatives to the Median Absolute
    Deviation", JASA 88, 1993), at least `least_spread · m` and at least the `√m` of a Poisson count:
    `m ± deviations · s`, not below 0. Half of the past may be wrong without moving it far.

    >>> robust_band([100, 104, 96, 100, 9_000], 4, 0.01)
    (60.0, 140.0)
    """
    middle = float(median(past))
    spread = NORMAL_SCALE * float(median(abs(count - middle) for count in past))
    spread = max(spread, least_spread * middle, math.sqrt(middle))
    return max(0.0, middle - deviations * spread), middle + deviations * spread


def jensen_shannon(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Jensen-Shannon divergence of two distributions given as counts: 0 where they are the same, 1 where disjoint.

    `JSD = ½ Σ p log2(p / m) + ½ Σ q log2(q / m)` with `m = ½ (p + q)` (Lin, "Divergence Measures Based on the Shannon
    Entropy", IEEE Trans. Inf. Theory 37, 1991). Bounded and finite where a category is new, which the population
    stability index is not. The sum is exact (`fsum`), so that it does not depend on the order.

    >>> jensen_shannon({"a": 1, "b": 1}, {"a": 10, "b": 10}), jensen_shannon({"a": 1}, {"b": 1})
    (0.0, 1.0)
    """
    ones, others = sum(one.values()), sum(other.values())
    terms = []
    for category in one.keys() | other.keys():
        p, q = one.get(category, 0) / ones, other.get(category, 0) / others
        middle = (p + q) / 2
        terms += [share * math.log2(share / middle) / 2 for share in (p, q) if share]
    return min(1.0, max(0.0, math.fsum(terms)))
