"""What the kernel does, for one series and for many: score, save, restore, forgive."""

import math
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.detection import kernel, layout
from analytics.detection.defaults import FLAG_SURPRISE
from analytics.detection.episodes import forgive

Floats = NDArray[np.float64]

_HEADER: Final = struct.Struct("<4sHH")
_MAGIC: Final = b"VDET"

STATE_BYTES: Final = _HEADER.size + 8 * layout.DOUBLES + 4 * layout.SINGLES
"""Size of a saved series: about 6 KB."""

FLAG_SCORE: Final = 0.5
"""From this score on a value is an anomaly and has a kind."""


class InvalidStateError(ValueError):
    """Bytes that are no saved state of this version of the detector."""


@dataclass(frozen=True)
class AnomalyScore:
    """What the detector says of one value, before it learns from it.

    Attributes:
        score: 0 to 1; 0.5 and more is an anomaly. The same score is as rare on every series.
        expected: what was expected.
        lower, upper: the band outside which a single value is an anomaly.
        kind: `spike`, `drop`, `level_shift`, `flat_line`, `silence`, `pattern`; empty where it is none.
        severity: decades of rarity beyond what is flagged, 0 to about 9; 0 where it is none.
        duration: values since the episode began that this one is part of; 0 outside one.
    """

    score: float
    expected: float
    lower: float
    upper: float
    kind: str
    severity: float
    duration: int


class Detector:
    """One series. A value may be NaN: it then only asks what is expected."""

    def __init__(self) -> None:
        self._state, self._singles = _fresh(1)

    def update(self, event_time: datetime | float, value: float) -> AnomalyScore:
        """Scores a value and learns from it. `event_time`: aware, or microseconds since 1970 UTC; it may jump.

        A time that does not go forward is taken as a further value of the same time.
        """
        answers = np.empty((1, layout.ANSWERS))
        kernel.together(self._state, self._singles, _times([event_time]), np.array([value]), answers)
        return _score(answers[0])

    def follow(self, times: Floats, values: Floats) -> Floats:
        """Many values in their order, answered as by `update`: [m, layout.ANSWERS]. `times`: microseconds."""
        answers = np.empty((len(values), layout.ANSWERS))
        kernel.follow(self._state[0], self._singles[0], times, values, answers)
        return answers

    def not_an_anomaly(self) -> None:
        """The last episode was none: what was as unusual as it is usual from now on."""
        forgive(self._state[0])

    def save(self) -> bytes:
        """The state, `STATE_BYTES` long."""
        header = _HEADER.pack(_MAGIC, layout.STATE_VERSION, 0)
        return header + self._state.astype("<f8").tobytes() + self._singles.astype("<f4").tobytes()

    @classmethod
    def restore(cls, saved: bytes) -> "Detector":
        """A detector that goes on exactly where the saved one was.

        Raises:
            InvalidStateError: these are not the bytes of this version.
        """
        if len(saved) != STATE_BYTES or _HEADER.unpack_from(saved)[:2] != (_MAGIC, layout.STATE_VERSION):
            raise InvalidStateError(f"not a detector's state of version {layout.STATE_VERSION}")
        detector = cls()
        middle = _HEADER.size + 8 * layout.DOUBLES
        detector._state[0] = np.frombuffer(saved[_HEADER.size : middle], "<f8")
        detector._singles[0] = np.frombuffer(saved[middle:], "<f4")
        return detector


class Detectors:
    """Many series that step together, such as the accounts and metrics of a partition when a window seals."""

    def __init__(self, count: int) -> None:
        self.states, self.singles = _fresh(count)

    def step(self, rows: NDArray[np.int64], times: Floats, values: Floats) -> Floats:
        """One value each for some rows, each row once at most: [len(rows), layout.ANSWERS]. `times`: microseconds."""
        states, singles = self.states[rows], self.singles[rows]
        answers = np.empty((len(rows), layout.ANSWERS))
        kernel.together(states, singles, times, values, answers)
        self.states[rows], self.singles[rows] = states, singles
        return answers


def named(answers: Floats) -> list[AnomalyScore]:
    """Rows of answers as values with names."""
    return [_score(row) for row in answers]


def _fresh(count: int) -> tuple[Floats, NDArray[np.float32]]:
    return np.zeros((count, layout.DOUBLES)), np.zeros((count, layout.SINGLES), dtype=np.float32)


def _times(instants: list[datetime | float]) -> Floats:
    return np.array([each.timestamp() * 1e6 if isinstance(each, datetime) else float(each) for each in instants])


def _score(row: Any) -> AnomalyScore:
    kind = layout.KINDS[int(row[layout.KIND])]
    return AnomalyScore(
        score=float(row[layout.SCORE]),
        expected=float(row[layout.EXPECTED]),
        lower=float(row[layout.LOWER]),
        upper=float(row[layout.UPPER]),
        kind=kind,
        severity=max(0.0, float(row[layout.SURPRISE]) - FLAG_SURPRISE) if kind else 0.0,
        duration=int(row[layout.DURATION]) if not math.isnan(row[layout.DURATION]) else 0,
    )
