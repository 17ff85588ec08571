"""The ids of calls that were accepted lately, so that a client's retry is not published twice.

Unlike `SeenIds` of the polled streams this goes by the time of acceptance: a retry follows its call by minutes,
whatever event time the client wrote into it.
"""

import base64
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from connectors.contract import Json, State

SEEN = "seen/"
WINDOW = timedelta(hours=24)
MOST_IDS = 500_000
CHUNK_IDS = 128
"""Ids of one state entry: an entry is written again with each commit until it holds this many."""
REMOVALS_MAX = 500
"""Entries that one transaction removes at most, so that an hour's end does not make a long one."""

_ID_BYTES = 16


class RecentIds:
    """Ids by the wall-clock hour of their acceptance, kept in the stream's state for a day, at most half a million."""

    def __init__(self, state: State) -> None:
        self._chunks: dict[str, list[bytes]] = {
            entry: _unpacked(state[entry]) for entry in sorted(state) if entry.startswith(SEEN)
        }
        self._ids = {identifier for chunk in self._chunks.values() for identifier in chunk}

    def __contains__(self, event_id: str) -> bool:
        return UUID(event_id).bytes in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def remember(self, event_ids: Iterable[str], now: datetime) -> dict[str, Json]:
        """Takes the ids of a page; the updates of the stream's state, with what has expired removed."""
        updates: dict[str, Json] = {}
        new = [UUID(event_id).bytes for event_id in event_ids]
        if new:
            entry = self._open_chunk(f"{SEEN}{now:%Y-%m-%dT%H}/")
            self._chunks[entry].extend(new)
            self._ids.update(new)
            updates[entry] = base64.b64encode(b"".join(self._chunks[entry])).decode()
        oldest = f"{SEEN}{now - WINDOW:%Y-%m-%dT%H}/"
        for expired in list(self._chunks)[:REMOVALS_MAX]:
            if (expired >= oldest and len(self._ids) <= MOST_IDS) or expired in updates:
                break
            self._ids.difference_update(self._chunks.pop(expired))
            updates[expired] = None
        return updates

    def _open_chunk(self, hour: str) -> str:
        """The entry that takes the next ids."""
        last = next(reversed(self._chunks), "")
        if last.startswith(hour) and len(self._chunks[last]) < CHUNK_IDS:
            return last
        number = int(last.rpartition("/")[2]) + 1 if last.startswith(hour) else 0
        entry = f"{hour}{number:08d}"
        self._chunks.setdefault(entry, [])
        return entry


def _unpacked(text: str) -> list[bytes]:
    packed = base64.b64decode(text)
    return [packed[start : start + _ID_BYTES] for start in range(0, len(packed), _ID_BYTES)]
