"""Statistics of a check in one window of one source, gathered in parts that merge in any order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Partial:
    """A commutative monoid: `Partial()` is neutral, `merged` is associative and commutative.

    Attributes:
        records: examined so far.
        flagged: of them, those that are not as they should be.
        counts: by category (drift), or balance by account (sequence); no zeros.
        furthest: greatest instant, microseconds since the epoch (freshness).
        ended: whether the stream is retired (freshness).
        left, right: accounts of either side (cross_source).
    """

    records: int = 0
    flagged: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    furthest: int | None = None
    ended: bool = False
    left: frozenset[str] = frozenset()
    right: frozenset[str] = frozenset()

    def merged(self, other: "Partial") -> "Partial":
        """Both together.

        >>> Partial(3, 1).merged(Partial(2, 0, {"a": 2}))
        Partial(records=5, flagged=1, counts={'a': 2}, furthest=None, ended=False, left=frozenset(), right=frozenset())
        """
        known = [each for each in (self.furthest, other.furthest) if each is not None]
        return Partial(
            self.records + other.records,
            self.flagged + other.flagged,
            _sum(self.counts, other.counts),
            max(known, default=None),
            self.ended or other.ended,
            self.left | other.left,
            self.right | other.right,
        )

    def saved(self) -> dict[str, Any]:
        """For a snapshot: what is not neutral."""
        told = {
            "records": self.records,
            "flagged": self.flagged,
            "counts": dict(self.counts),
            "ended": self.ended,
            "left": sorted(self.left),
            "right": sorted(self.right),
        }
        kept: dict[str, Any] = {name: value for name, value in told.items() if value}
        return kept if self.furthest is None else kept | {"furthest": self.furthest}

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> "Partial":
        """From a snapshot."""
        sides = {name: frozenset(saved[name]) for name in ("left", "right") if name in saved}
        return cls(**{**saved, **sides})


def merge_all(partials: Iterable[Partial]) -> Partial:
    """All of them together; `Partial()` of none."""
    total = Partial()
    for partial in partials:
        total = total.merged(partial)
    return total


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    if not left or not right:
        return left or right
    total = Counter(left)
    for category, count in right.items():
        total[category] += count
        if not total[category]:
            del total[category]
    return dict(total)
