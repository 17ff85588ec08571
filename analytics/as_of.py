"""Versions of something, each from an instant on, and the one that holds as of another. Pure."""

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from typing import Generic, TypeVar

Version = TypeVar("Version")


class AsOf(Generic[Version]):
    """Versions by the instant from which each holds, until the next one does.

    They may come in any order, late ones in between, and twice: of two from one instant the later to come stays, as in
    the table of profiles. What holds is therefore a function of the versions, not of their order.

    >>> from datetime import UTC
    >>> plans = AsOf([(datetime(2026, 3, 1, tzinfo=UTC), "Growth"), (datetime(2026, 1, 1, tzinfo=UTC), "Starter")])
    >>> plans.at(datetime(2026, 2, 14, tzinfo=UTC))
    'Starter'
    """

    def __init__(self, versions: Iterable[tuple[datetime, Version]] = ()) -> None:
        self._instants: list[datetime] = []
        self._versions: dict[datetime, Version] = {}
        for valid_from, version in versions:
            self.add(valid_from, version)

    def add(self, valid_from: datetime, version: Version) -> None:
        """Takes a version."""
        if valid_from not in self._versions:
            insort(self._instants, valid_from)
        self._versions[valid_from] = version

    def at(self, instant: datetime) -> Version | None:
        """What holds at the instant. Before the first version that one: nobody told of another. None without any."""
        if not self._instants:
            return None
        place = bisect_right(self._instants, instant)
        return self._versions[self._instants[max(place - 1, 0)]]

    def assumed(self, instant: datetime) -> bool:
        """Whether what holds is only assumed, because the instant lies before the first version."""
        return bool(self._instants) and instant < self._instants[0]
