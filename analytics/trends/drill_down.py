"""What a movement is made of: a total's, exactly by parts, and a ratio's, by mix and rate. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

Key = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One part of a total's movement, in the total's integers (10^-6 units)."""

    key: Key
    before: int
    after: int

    @property
    def change(self) -> int:
        """What it adds to the movement."""
        return self.after - self.before


def drill_down(before: Mapping[Key, int], after: Mapping[Key, int], depth: int) -> list[Part]:
    """A total's movement by the first `depth` dimensions of its keys, the largest first; parts sum to the whole."""
    sums: dict[Key, list[int]] = {}
    for side, values in enumerate((before, after)):
        for key, value in values.items():
            sums.setdefault(key[:depth], [0, 0])[side] += value
    parts = [Part(key, old, new) for key, (old, new) in sums.items()]
    return sorted(parts, key=lambda part: (-abs(part.change), part.key))


@dataclass(frozen=True)
class RatioPart:
    """One part of a ratio's movement: that its share of the whole changed (mix), and that its own ratio did (rate)."""

    key: Key
    mix: Fraction
    rate: Fraction


def ratio_drill_down(
    before: Mapping[Key, tuple[int, int]], after: Mapping[Key, tuple[int, int]], depth: int
) -> list[RatioPart]:
    """The movement of numerator over denominator; mix and rate of all parts sum to it exactly, as fractions.

    With `w` a part's share of the denominator, `r` its own ratio, means over both sides, and `R` the whole's before:
    mix = (w' - w) * (mean r - R), rate = mean w * (r' - r). A part without a denominator on one side has the other's
    ratio there.

    Raises:
        ValueError: the whole's denominator is not above 0 on both sides.
    """
    sides: list[dict[Key, list[int]]] = [{}, {}]
    for side, values in zip(sides, (before, after), strict=True):
        for key, (numerator, denominator) in values.items():
            sums = side.setdefault(key[:depth], [0, 0])
            sums[0] += numerator
            sums[1] += denominator
    wholes = [sum(sums[1] for sums in side.values()) for side in sides]
    if min(wholes, default=0) <= 0:
        raise ValueError("A ratio moves only between two sides that have a denominator.")
    total = Fraction(sum(sums[0] for sums in sides[0].values()), wholes[0])
    parts = []
    for key in sorted({*sides[0], *sides[1]}):
        (n0, d0), (n1, d1) = sides[0].get(key, [0, 0]), sides[1].get(key, [0, 0])
        w0, w1 = Fraction(d0, wholes[0]), Fraction(d1, wholes[1])
        r0 = Fraction(n0, d0) if d0 else (Fraction(n1, d1) if d1 else Fraction(0))
        r1 = Fraction(n1, d1) if d1 else r0
        parts.append(RatioPart(key, (w1 - w0) * ((r0 + r1) / 2 - total), (w0 + w1) / 2 * (r1 - r0)))
    return sorted(parts, key=lambda part: (-abs(part.mix + part.rate), part.key))
