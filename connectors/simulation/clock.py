"""The clock of a simulated vendor: source time runs at a chosen speed, and never backwards, not even over a kill."""

import time
from collections.abc import Callable
from pathlib import Path

import orjson

from vitals.errors import UserError

# How far ahead, in wall seconds, the file reserves source time: a process that is killed starts again from there.
_LEASE_SECONDS = 5.0


class SourceClock:
    """Source time in epoch seconds: `anchor + (wall - wall_anchor) * speed`.

    With `path`, the clock keeps in that file a source time that it has not passed yet. A restart begins from it, so
    that no vendor ever tells a connector an earlier time than it told before.
    """

    def __init__(
        self,
        start: float,
        speed: float = 60.0,
        *,
        paused: bool = False,
        wall: Callable[[], float] = time.monotonic,
        path: Path | None = None,
    ) -> None:
        if speed < 0:
            raise ValueError("the speed of a source clock is not negative")
        self._wall = wall
        self._path = path
        self._speed = speed
        self._paused = paused
        self._anchor = max(start, _saved(path)) if path else start
        self._wall_anchor = wall()
        self._latest = self._anchor
        self._reserved = self._anchor
        self._reserve()

    @property
    def speed(self) -> float:
        """Source seconds for each wall second."""
        return self._speed

    @property
    def paused(self) -> bool:
        """Whether source time stands still."""
        return self._paused

    def now(self) -> float:
        """Source time in epoch seconds; never less than an earlier answer."""
        elapsed = 0.0 if self._paused else (self._wall() - self._wall_anchor) * self._speed
        self._latest = max(self._latest, self._anchor + elapsed)
        if self._latest > self._reserved:
            self._reserve()
        return self._latest

    def now_seconds(self) -> int:
        """Source time as the vendors write it, in whole epoch seconds."""
        return int(self.now())

    def change(
        self, *, speed: float | None = None, paused: bool | None = None, advance_to: float | None = None
    ) -> None:
        """Set the speed, pause or go on, or jump forward; raises `UserError` on a jump back."""
        now = self.now()
        if speed is not None and speed < 0:
            raise UserError("the speed of the source clock must not be negative.")
        if advance_to is not None and advance_to < now:
            raise UserError("the source clock goes forward only.")
        self._anchor = now if advance_to is None else advance_to
        self._latest = self._anchor
        self._wall_anchor = self._wall()
        self._speed = self._speed if speed is None else speed
        self._paused = self._paused if paused is None else paused
        self._reserve()

    def close(self) -> None:
        """Save the exact source time, which a clean stop can know."""
        self._reserved = self.now()
        self._save(self._reserved)

    def _reserve(self) -> None:
        self._reserved = self._latest + (0.0 if self._paused else self._speed * _LEASE_SECONDS)
        self._save(self._reserved)

    def _save(self, source_time: float) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".tmp")
        written.write_bytes(orjson.dumps({"source_time": source_time}))
        written.replace(self._path)


def _saved(path: Path) -> float:
    if not path.exists():
        return float("-inf")
    try:
        return float(orjson.loads(path.read_bytes())["source_time"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a saved source clock; delete it to start from the default time.") from error
