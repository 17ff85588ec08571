"""The ids of deliveries that a stream has taken, so that one which its vendor sends again is passed over. Pure.

They go by the time of receipt: the longest known retries last three days.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta

from connectors.contract import Json, State

DELIVERED = "delivered/"
KEPT_DAYS = 4
CHUNK_IDS = 128
"""Ids of one state entry: an entry is written again with each commit until it holds this many."""
LONGEST_ID = 64


def known_form(delivery_id: str) -> str:
    """The id as it is remembered: one of unusual length by its digest, so that state entries stay small."""
    return delivery_id if len(delivery_id) <= LONGEST_ID else hashlib.sha256(delivery_id.encode()).hexdigest()


class DeliveredIds:
    """Ids by the day of receipt, kept in the stream's state for four days."""

    def __init__(self, state: State) -> None:
        self._entries: dict[str, list[str]] = {
            entry: list(state[entry]) for entry in sorted(state) if entry.startswith(DELIVERED)
        }
        self._ids = {identifier for ids in self._entries.values() for identifier in ids}

    def __contains__(self, delivery_id: str) -> bool:
        return known_form(delivery_id) in self._ids

    def remember(self, received: Iterable[tuple[date, str]]) -> dict[str, Json]:
        """Takes ids with their days; the updates of the stream's state, with expired days removed.

        Days expire by the newest one seen, not by a clock.
        """
        updates: dict[str, Json] = {}
        for day, delivery_id in received:
            entry = self._open_chunk(day.isoformat())
            self._entries[entry].append(known_form(delivery_id))
            self._ids.add(known_form(delivery_id))
            updates[entry] = list(self._entries[entry])
        newest = max(map(_day, self._entries), default=None)
        if newest is not None:
            oldest = (date.fromisoformat(newest) - timedelta(days=KEPT_DAYS)).isoformat()
            for entry in [entry for entry in self._entries if _day(entry) < oldest]:
                self._ids.difference_update(self._entries.pop(entry))
                updates[entry] = None
        return updates

    def _open_chunk(self, day: str) -> str:
        """The entry that takes the next id of a day."""
        last = max((entry for entry in self._entries if _day(entry) == day), default=None)
        if last is not None and len(self._entries[last]) < CHUNK_IDS:
            return last
        number = 0 if last is None else int(last.rpartition("/")[2]) + 1
        entry = f"{DELIVERED}{day}/{number:08d}"
        self._entries[entry] = []
        return entry


def _day(entry: str) -> str:
    return entry.split("/")[1]
