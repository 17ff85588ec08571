"""The ids of deliveries that a stream has taken, so that one which its vendor sends again is passed over. Pure.

They go by the time of receipt: the longest known retries last three days.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta

from connectors.contract import Json, State

DELIVERED = "delivered/"
KEPT_DAYS = 4
LONGEST_ID = 64


def known_form(delivery_id: str) -> str:
    """The id as it is remembered: one of unusual length by its digest, so that state entries stay small."""
    return delivery_id if len(delivery_id) <= LONGEST_ID else hashlib.sha256(delivery_id.encode()).hexdigest()


class DeliveredIds:
    """Ids by the day of receipt, kept in the stream's state for four days."""

    def __init__(self, state: State) -> None:
        self._entries: dict[str, list[str]] = {
            entry: ids for entry, ids in state.items() if entry.startswith(DELIVERED)
        }
        self._ids = {identifier for ids in self._entries.values() for identifier in ids}

    def __contains__(self, delivery_id: str) -> bool:
        return known_form(delivery_id) in self._ids

    def remember(self, received: Iterable[tuple[date, str]], sequence: int) -> dict[str, Json]:
        """Takes ids with their days; the updates of the stream's state, with expired days removed.

        `sequence` makes the entries unique. Days expire by the newest one seen, not by a clock.
        """
        by_day: dict[str, list[str]] = {}
        for day, delivery_id in received:
            by_day.setdefault(day.isoformat(), []).append(known_form(delivery_id))
        updates: dict[str, Json] = {}
        for day_text, ids in by_day.items():
            entry = f"{DELIVERED}{day_text}/{sequence}"
            self._entries[entry] = ids
            self._ids.update(ids)
            updates[entry] = ids
        newest = max(map(_day, self._entries), default=None)
        if newest is not None:
            oldest = (date.fromisoformat(newest) - timedelta(days=KEPT_DAYS)).isoformat()
            for entry in [entry for entry in self._entries if _day(entry) < oldest]:
                self._ids.difference_update(self._entries.pop(entry))
                updates[entry] = None
        return updates


def _day(entry: str) -> str:
    return entry.split("/")[1]
