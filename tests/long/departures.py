"""Accounts that left for good: were they seen falling before their last event, and how early? Pure.

Falling at a tick: the trend arrow points down, or the band is lower than the best band of the 365 days before. Stated
once, before looking at any result, and reported together with how often accounts that stay look the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

RANK = {"unknown": -1, "at_risk": 0, "watch": 1, "healthy": 2}
LOOK_BACK_DAYS = 365
WARNING_DAYS = 180
"""A warning counts when it comes within this many days before the last event."""


@dataclass(frozen=True)
class AccountHistory:
    """One account: days (since the epoch) with product events, and (day, band, trend) of every tick in order."""

    active_days: Sequence[int]
    ticks: Sequence[tuple[int, str, str]]


@dataclass(frozen=True)
class Departures:
    """How many left, how many of them were seen falling before, and how many days early (of those seen)."""

    left: int
    seen: int
    days_early: Sequence[int]
    staying_share_falling: float

    @property
    def median_days_early(self) -> float:
        """Median over the accounts that were seen falling."""
        return median(self.days_early) if self.days_early else 0.0


def falling_ticks(ticks: Sequence[tuple[int, str, str]]) -> list[int]:
    """Days of the ticks at which the account is falling."""
    falling = []
    start = 0
    for number, (day, band, trend) in enumerate(ticks):
        while ticks[start][0] < day - LOOK_BACK_DAYS:
            start += 1
        best = max(RANK[before] for _, before, _ in ticks[start : number + 1])
        if trend == "down" or 0 <= RANK[band] < best:
            falling.append(day)
    return falling


def departures(histories: Sequence[AccountHistory], end_day: int, gone_for_days: int = 365) -> Departures:
    """The accounts with at least ten active days whose last event is at least `gone_for_days` before the end."""
    days_early: list[int] = []
    left = 0
    falling_staying = ticks_staying = 0
    for history in histories:
        if len(history.active_days) < 10:
            continue
        last = max(history.active_days)
        falling = falling_ticks(history.ticks)
        if last <= end_day - gone_for_days:
            left += 1
            # A tick at day d knows the windows that end at or before it, so d = last knows nothing of the last day.
            before = [day for day in falling if last - WARNING_DAYS <= day <= last]
            if before:
                days_early.append(last - min(before))
        else:
            falling_staying += len(falling)
            ticks_staying += len(history.ticks)
    return Departures(left, len(days_early), days_early, falling_staying / max(1, ticks_staying))
