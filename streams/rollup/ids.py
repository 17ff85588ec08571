"""Event ids that one partition of one topic has seen on open days: a set of 128-bit numbers in sorted runs. Pure.

A run is three arrays of one length, sorted by the id's upper half. New ids make a small run; runs of alike size are
merged, so that a look-up searches a few of them and an id is copied a few times in its life. An id takes 20 bytes, a
third of what a hash table or a database's index takes, and a batch of look-ups costs less than with either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.rollup.watermark import DAY_MICROS

Halves = NDArray[np.uint64]
Days = NDArray[np.int32]
Mask = NDArray[np.bool_]

GROWTH: Final = 4
"""A run is merged with the one before it when it has more than this part of its length."""

_TEXT_LENGTH: Final = 36
_HYPHENS: Final = (8, 13, 18, 23)
_DIGITS: Final = tuple(place for place in range(_TEXT_LENGTH) if place not in _HYPHENS)
_NO_DIGIT: Final = 255
_DIGIT_VALUES: Final = np.full(256, _NO_DIGIT, dtype=np.uint8)
_DIGIT_VALUES[np.frombuffer(b"0123456789abcdef", dtype=np.uint8)] = np.arange(16, dtype=np.uint8)


@dataclass(frozen=True)
class Ids:
    """Ids as their halves, with the day (since the epoch) of their event. Arrays of one length."""

    upper: Halves
    lower: Halves
    day: Days

    BYTES_EACH: ClassVar = 20

    def __len__(self) -> int:
        return len(self.upper)

    def taken(self, which: NDArray[np.intp] | Mask) -> "Ids":
        """Some of them, in the given order."""
        return Ids(self.upper[which], self.lower[which], self.day[which])

    @staticmethod
    def empty(length: int) -> "Ids":
        """Arrays in memory, to be filled."""
        return Ids(np.empty(length, np.uint64), np.empty(length, np.uint64), np.empty(length, np.int32))

    @staticmethod
    def joined(parts: list["Ids"]) -> "Ids":
        """All of them, one part after the other."""
        if not parts:
            return Ids.empty(0)
        return Ids(
            np.concatenate([part.upper for part in parts]),
            np.concatenate([part.lower for part in parts]),
            np.concatenate([part.day for part in parts]),
        )

    def order(self) -> NDArray[np.intp]:
        """Order by id; equal ids stay in their order."""
        order = np.argsort(self.upper)
        upper = self.upper[order]
        alike = np.zeros(len(self) + 1, dtype=np.bool_)
        alike[1:-1] = upper[1:] == upper[:-1]
        (tied,) = np.nonzero(alike[1:] | alike[:-1])
        if tied.size:  # the sort is quick but not stable, and knows half of the id: mend the few that it leaves open
            these = order[tied]
            order[tied] = these[np.lexsort((these, self.lower[these], self.upper[these]))]
        return order


def parsed(texts: pl.Series) -> tuple[Halves, Halves, Mask]:
    """UUIDs in canonical form (36 characters, lower case) as halves, and which of the texts are that.

    >>> upper, lower, valid = parsed(pl.Series(["00000000-0000-0001-0000-00000000000a", "none"]))
    >>> upper.tolist(), lower.tolist(), valid.tolist()
    ([1, 0], [10, 0], [True, False])
    """
    fitting = (texts.str.len_bytes() == _TEXT_LENGTH).to_numpy()
    if not fitting.all():
        zeros = pl.Series(["0" * _TEXT_LENGTH])
        texts = texts.zip_with(pl.Series(fitting), zeros.new_from_index(0, len(texts)))
    joined = texts.str.join("").item().encode()
    characters = np.frombuffer(joined, dtype=np.uint8).reshape(-1, _TEXT_LENGTH)
    digits = _DIGIT_VALUES[characters[:, _DIGITS]]
    valid = fitting & (digits != _NO_DIGIT).all(axis=1) & (characters[:, _HYPHENS] == ord("-")).all(axis=1)
    digits[~valid] = 0
    octets = digits[:, 0::2] << 4 | digits[:, 1::2]
    halves = np.ascontiguousarray(octets).view(">u8").astype(np.uint64)
    return halves[:, 0], halves[:, 1], valid


class SeenIds:
    """The set. `allocate` gives the arrays of a merged run of a length, which may lie on disk."""

    def __init__(self, allocate: Callable[[int], Ids] = Ids.empty) -> None:
        self._runs: list[Ids] = []
        self._unsaved: list[Ids] = []
        self._allocate = allocate

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def all(self) -> Ids:
        """Every id, in no order."""
        self._unsaved.clear()
        return Ids.joined(self._runs)

    def unsaved(self) -> Ids:
        """The ids that came since the last call of `all` or of this."""
        new = Ids.joined(self._unsaved)
        self._unsaved.clear()
        return new

    def add(self, ids: Ids) -> Mask:
        """Adds ids in log order and returns which of them are new; of equal ones the first is."""
        order = ids.order()
        ordered = ids.taken(order)
        repeated = np.zeros(len(ids), dtype=np.bool_)
        repeated[1:] = (ordered.upper[1:] == ordered.upper[:-1]) & (ordered.lower[1:] == ordered.lower[:-1])
        for run in self._runs:
            repeated |= _holds(run, ordered)
        if not repeated.all():
            self._keep(ordered.taken(~repeated))
        fresh = np.empty(len(ids), dtype=np.bool_)
        fresh[order] = ~repeated
        return fresh

    def forget_before(self, instant: int) -> None:
        """Drops the ids of events before a midnight, given in microseconds since the epoch."""
        day, kept = instant // DAY_MICROS, []
        for run in self._runs:
            open_days = run.day >= day
            if open_days.all():
                kept.append(run)
            elif open_days.any():
                kept.append(run.taken(open_days))
        self._runs = kept

    def restore(self, ids: Ids) -> None:
        """Takes ids of a snapshot, none of which it has."""
        self._runs.append(ids.taken(ids.order()))

    def _keep(self, run: Ids) -> None:
        self._runs.append(run)
        self._unsaved.append(run)
        while len(self._runs) > 1 and len(self._runs[-1]) * GROWTH > len(self._runs[-2]):
            last, before = self._runs.pop(), self._runs.pop()
            self._runs.append(self._merged(before, last))

    def _merged(self, before: Ids, last: Ids) -> Ids:
        place = np.searchsorted(before.upper, last.upper) + np.arange(len(last))
        of_before = np.ones(len(before) + len(last), dtype=np.bool_)
        of_before[place] = False
        merged = self._allocate(len(of_before))
        for target, old, new in (
            (merged.upper, before.upper, last.upper),
            (merged.lower, before.lower, last.lower),
            (merged.day, before.day, last.day),
        ):
            target[of_before] = old
            target[place] = new
        return merged


def _holds(run: Ids, ordered: Ids) -> Mask:
    """Which of the ordered ids a run holds."""
    place = np.searchsorted(run.upper, ordered.upper)
    found = np.zeros(len(ordered), dtype=np.bool_)
    candidates = np.flatnonzero(place < len(run))
    while candidates.size:  # once, unless different ids share an upper half
        at = place[candidates]
        alike = run.upper[at] == ordered.upper[candidates]
        candidates, at = candidates[alike], at[alike]
        same = run.lower[at] == ordered.lower[candidates]
        found[candidates[same]] = True
        candidates = candidates[~same]
        place[candidates] += 1
        candidates = candidates[place[candidates] < len(run)]
    return found
