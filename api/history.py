"""The portfolio's history by tick: open ticks are read each time, sealed ones are kept."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.account_rows import MICRO
from api.database import Connection, Row, fetch_all, fetch_one, sql
from vitals.clock import Clock

TICK = timedelta(days=1)
TICKS_SHOWN = 90
KEEP = timedelta(minutes=5)
"""Sealed ticks change only when reconciliation corrects them: they are read again this often."""


@dataclass(frozen=True)
class TickFigures:
    """All accounts at one tick: how many in each band, and the sum of their scores in 10^-6 points."""

    tick: datetime
    scored: int
    score_sum: int
    healthy: int
    watch: int
    at_risk: int

    @property
    def mean_score(self) -> float | None:
        """Mean in points, rounded once."""
        return self.score_sum / (self.scored * MICRO) if self.scored else None


def of_row(row: Row) -> TickFigures:
    """The figures in a row of `portfolio_ticks.sql`."""
    fields: dict[str, Any] = {**row, "score_sum": row["score_sum"] or 0}
    return TickFigures(**fields)


class PortfolioHistory:
    """The last 90 ticks. Reading half a million rows takes a good part of a second, so sealed ticks are read once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sealed: list[TickFigures] = []
        self._covers: tuple[str, datetime, datetime] | None = None
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def read(self, connection: Connection, model: str, sealed_through: datetime | None) -> list[TickFigures]:
        """The last `TICKS_SHOWN` ticks that have scores, oldest first."""
        row = await fetch_one(connection, sql("newest_tick"), model=model)
        newest: datetime | None = row["tick"] if row else None
        if newest is None:
            return []
        after = newest - TICKS_SHOWN * TICK
        last_sealed = min(sealed_through, newest) if sealed_through is not None else after
        # One reader at a time: the others then find what it has read.
        async with self._reading:
            if not self._fresh(model, after, last_sealed):
                self._sealed = await self._ticks(connection, model, after, last_sealed)
                self._covers, self._read_at = (model, after, last_sealed), self._clock.now()
            sealed = self._sealed
        return sealed + await self._ticks(connection, model, max(after, last_sealed), newest)

    def _fresh(self, model: str, after: datetime, last_sealed: datetime) -> bool:
        return (
            self._covers == (model, after, last_sealed)
            and self._read_at is not None
            and self._clock.now() - self._read_at < KEEP
        )

    async def _ticks(self, connection: Connection, model: str, after: datetime, newest: datetime) -> list[TickFigures]:
        if newest <= after:
            return []
        rows = await fetch_all(connection, sql("portfolio_ticks"), model=model, after=after, newest=newest)
        return [of_row(row) for row in rows]
